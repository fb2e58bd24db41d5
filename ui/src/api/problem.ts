import type { components } from './schema';

type Wire = components['schemas']['Problem'];
type Detail = components['schemas']['ProblemDetail'];

/** Codes of our own, for what never reached the gateway or came from something else. */
export type LocalCode = 'offline' | 'unreadable' | 'still_signed_in';

/** Anything that went wrong with a request: the gateway's problem document, or that there was no answer. */
export class Problem extends Error {
  readonly code: string;
  /** The status of the answer; 0 where there was none. */
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly errors: readonly Detail[];
  /** The id of the request, as in the gateway's log. */
  readonly instance?: string;

  constructor(wire: Partial<Wire> & { code: string }) {
    super(wire.detail ?? wire.title ?? wire.code);
    this.name = 'Problem';
    this.code = wire.code;
    this.status = wire.status ?? 0;
    this.title = wire.title ?? '';
    this.detail = wire.detail ?? '';
    this.errors = wire.errors ?? [];
    this.instance = wire.instance;
  }

  /** Reads the answer of a request that was refused, whoever wrote it. */
  static async from(response: Response): Promise<Problem> {
    const text = await response.text().catch(() => '');
    try {
      const body: unknown = JSON.parse(text);
      if (typeof body === 'object' && body !== null) {
        // Problem documents; `detail` alone is what the endpoints of token pools say; `error.message` what those of clients say.
        const wire = body as Partial<Wire> & { error?: { message?: string; code?: string | null; type?: string } };
        const detail = typeof wire.detail === 'string' ? wire.detail : wire.error?.message;
        const code = wire.code ?? wire.error?.code ?? wire.error?.type ?? 'refused';
        return new Problem({ ...wire, code, detail, status: response.status });
      }
    } catch {
      // Not from the gateway: a proxy's page, or an answer that broke off.
    }
    // A page is nothing to read between other words.
    const detail = /^\s*</.test(text) ? '' : text.slice(0, 300);
    return new Problem({ code: 'unreadable', status: response.status, detail });
  }

  /** There was no answer. */
  static offline(cause: unknown): Problem {
    const problem = new Problem({ code: 'offline' });
    problem.cause = cause;
    return problem;
  }

  /** Anything that was thrown, as a problem. */
  static of(error: unknown): Problem {
    if (error instanceof Problem) return error;
    return new Problem({ code: 'unreadable', detail: error instanceof Error ? error.message : String(error) });
  }

  /** Whether signing in (again) mends it. */
  get signedOut(): boolean {
    return this.status === 401;
  }

  /** What is wrong with members of the body, by their path with dots: `targets.0.target`. */
  fieldErrors(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const error of this.errors) {
      const path = pointerPath(error.pointer);
      if (path) found[path] ??= [error.detail, error.remedy].filter(Boolean).join('. ');
    }
    return found;
  }
}

/** What is wrong with an entry, at its list as well: for fields that hold a whole list. */
export function atLists(errors: Record<string, string>): Record<string, string> {
  const lists = Object.entries(errors).map(([path, words]) => [path.replace(/\.\d+$/, ''), words] as const);
  return { ...Object.fromEntries(lists.toReversed()), ...errors };
}

/** `#/targets/0/target` as `targets.0.target`. */
export function pointerPath(pointer: string | null | undefined): string | undefined {
  if (!pointer) return undefined;
  return pointer
    .replace(/^#?\//, '')
    .split('/')
    .map((part) => decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~'))
    .join('.');
}
