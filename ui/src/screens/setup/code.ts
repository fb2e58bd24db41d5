/** The set-up code as the gateway wrote it, from what was typed or pasted: spaces, capitals and missing hyphens do not matter. */
export function tidyCode(text: string): string | undefined {
  const letters = text.toLowerCase().replace(/[\s-]/g, '');
  return /^[a-z0-9]{12}$/.test(letters) ? letters.replace(/(.{4})(.{4})(.{4})/, '$1-$2-$3') : undefined;
}
