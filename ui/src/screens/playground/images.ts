import type { Image } from './protocols/neutral';

/** What every protocol takes. */
export const IMAGE_TYPES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];
export const MOST_BYTES = 5 * 1024 * 1024;
export const MOST_IMAGES = 10;

export type Refused = { name: string; why: 'type' | 'size' | 'many' | 'read' };

/** Which files can be given, and why others cannot. */
export function sortFiles(files: readonly File[], there: number): { good: File[]; refused: Refused[] } {
  const good: File[] = [];
  const refused: Refused[] = [];
  for (const file of files) {
    const why = !IMAGE_TYPES.includes(file.type) ? 'type' : file.size > MOST_BYTES ? 'size' : there + good.length >= MOST_IMAGES ? 'many' : null;
    if (why) refused.push({ name: file.name, why });
    else good.push(file);
  }
  return { good, refused };
}

/** Reads a file as base64. */
export function readImage(file: File): Promise<Image> {
  return new Promise((done, fail) => {
    const reader = new FileReader();
    reader.onerror = () => fail(reader.error ?? new Error(file.name));
    reader.onload = () => {
      const url = String(reader.result);
      done({ kind: 'image', type: file.type, data: url.slice(url.indexOf(',') + 1), name: file.name });
    };
    reader.readAsDataURL(file);
  });
}
