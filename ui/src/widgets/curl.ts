/** What stands for the key: itself as long as it is known, nothing where nobody needs one, else a word to be replaced. */
export function keyShown(key: string | undefined, open: boolean | undefined): string | undefined {
  return key ?? (open ? undefined : 'YOUR_KEY');
}

/** A line for a POSIX shell that asks a model. */
export function curlLine(origin: string, model: string, key: string | undefined): string {
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] });
  const auth = key ? [`-H ${quoted(`authorization: Bearer ${key}`)}`] : [];
  // One thing a line: it is read in narrow places.
  return [`curl ${origin}/v1/chat/completions`, ...auth, "-H 'content-type: application/json'", `-d ${quoted(body)}`].join(' \\\n  ');
}
