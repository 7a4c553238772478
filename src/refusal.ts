/**
 * The catalogue of expected refusals: an operation's "no" that any front can render. One row tells the HTTP status and
 * the exit code; anything else that is thrown is a bug (500, exit 1). It stands alone because all fronts and layers share it.
 */
import type { DurationMs } from './domain/time.ts';

/** 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused, 5 configuration or database not usable, 130 interrupted. */
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 5 | 130;

/** Each code with its HTTP status and the exit code of a command that ends with it. */
export const REFUSALS = {
  invalid_request: { http: 400, exit: 2 },
  invalid_scope: { http: 400, exit: 2 },
  unsupported_grant_type: { http: 400, exit: 2 },
  unauthorized_client: { http: 400, exit: 1 },
  invalid_client: { http: 401, exit: 1 },
  invalid_credentials: { http: 401, exit: 1 },
  invalid_grant: { http: 401, exit: 1 },
  forbidden: { http: 403, exit: 1 },
  not_found: { http: 404, exit: 3 },
  method_not_allowed: { http: 405, exit: 2 },
  conflict: { http: 409, exit: 1 },
  payload_too_large: { http: 413, exit: 2 },
  unsupported_media_type: { http: 415, exit: 2 },
  too_many_attempts: { http: 429, exit: 1 },
  not_confirmed: { http: 400, exit: 4 },
  ambiguous: { http: 400, exit: 2 },
  configuration_invalid: { http: 500, exit: 5 },
  database_unusable: { http: 503, exit: 5 },
  schema_behind: { http: 503, exit: 5 },
  master_key_unusable: { http: 503, exit: 5 },
  address_in_use: { http: 500, exit: 5 },
  clock_unset: { http: 500, exit: 5 },
  temporarily_unavailable: { http: 503, exit: 5 },
  user_directory_unavailable: { http: 503, exit: 1 },
  overloaded: { http: 503, exit: 1 },
  interrupted: { http: 503, exit: 130 },
} as const satisfies Record<string, { readonly http: number; readonly exit: ExitCode }>;

/** The `error` of an HTTP answer and of `--json`; a released one keeps its meaning. */
export type RefusalCode = keyof typeof REFUSALS;

/** What a refusal says beside its sentence. */
export interface RefusalDetails {
  /** For people at a terminal: one line of what to do next. */
  readonly remedy?: string;
  readonly retryAfter?: DurationMs;
  /** For the log alone; never shown to a caller. */
  readonly cause?: unknown;
}

/** An expected "no". `description` is one sentence without tokens, secrets, paths or SQL, fit for any caller. */
export class Refusal extends Error {
  readonly code: RefusalCode;
  readonly description: string;
  readonly remedy: string | undefined;
  readonly retryAfter: DurationMs | undefined;

  constructor(code: RefusalCode, description: string, details: RefusalDetails = {}) {
    // Where it was made is of no interest, and to find that out costs more than all else about a refused request.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(description, details.cause === undefined ? undefined : { cause: details.cause });
    Error.stackTraceLimit = stackTraceLimit;
    this.name = 'Refusal';
    this.code = code;
    this.description = description;
    this.remedy = details.remedy;
    this.retryAfter = details.retryAfter;
  }
}
