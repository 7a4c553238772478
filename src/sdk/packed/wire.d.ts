/** Requests of a client to the auth server, and what it can make of the answers. */
/** An answer of the auth server. */
export interface Answer {
    readonly status: number;
    /** Empty for an answer without a body. */
    readonly body: Readonly<Record<string, unknown>>;
    /** How long it asks to be left alone, in milliseconds. */
    readonly retryAfterMs: number;
}
/** Why something was not done. The message says what to do next; it holds no token and no password. */
export declare class ClientError extends Error {
    readonly name = "ClientError";
    /**
     * The server's code (`invalid_credentials`, `too_many_attempts`, `invalid_grant`, …), or one of this client:
     * `not_logged_in`; `unreachable`: nobody knows the outcome, and a session, if there is one, lives; `origin_not_allowed`.
     */
    readonly code: string;
    /** Of the server's answer. */
    readonly status: number | undefined;
    /** Why the session has ended, with `invalid_grant`: `expired`, `revoked`, `reused`, … */
    readonly reason: string | undefined;
    /** How long the server asks to be left alone, in milliseconds. */
    readonly retryAfterMs: number;
    constructor(code: string, message: string, answer?: Answer);
}
/** The refusal that an answer is. */
export declare const refusalOf: (answer: Answer) => ClientError;
export declare const unreachable: (consequence: string) => ClientError;
/**
 * One POST of JSON. It follows no redirect, because the body holds what only the auth server may see.
 * @param now the wall clock, in milliseconds
 * @returns undefined when no answer came, or none that the auth server gives: whether it did its work is then unknown
 */
export declare function post(url: string, body: unknown, { now, headers }: {
    readonly now: number;
    readonly headers?: Readonly<Record<string, string>>;
}): Promise<Answer | undefined>;
