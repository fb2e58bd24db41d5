/** Colours by which providers are told apart where they stand beside one another; their names always stand there as well. */
const COLOURS = ['blue', 'teal', 'grape', 'orange', 'pink', 'lime', 'indigo', 'cyan', 'yellow', 'red'];

export function colourOf(providers: string[], provider: string): string {
  const at = providers.indexOf(provider);
  return at < 0 ? 'gray' : (COLOURS[at % COLOURS.length] ?? 'gray');
}
