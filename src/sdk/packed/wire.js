/** Requests of a client to the auth server, and what it can make of the answers. */
/** Milliseconds; longer than the server may take (`server.requestTimeout`, 10 s). */
const TIMEOUT_MS = 15_000;
/** Why something was not done. The message says what to do next; it holds no token and no password. */
export class ClientError extends Error {
    name = 'ClientError';
    /**
     * The server's code (`invalid_credentials`, `too_many_attempts`, `invalid_grant`, …), or one of this client:
     * `not_logged_in`; `unreachable`: nobody knows the outcome, and a session, if there is one, lives; `origin_not_allowed`.
     */
    code;
    /** Of the server's answer. */
    status;
    /** Why the session has ended, with `invalid_grant`: `expired`, `revoked`, `reused`, … */
    reason;
    /** How long the server asks to be left alone, in milliseconds. */
    retryAfterMs;
    constructor(code, message, answer) {
        super(message);
        this.code = code;
        this.status = answer?.status;
        this.reason = textOf(answer?.body.reason);
        this.retryAfterMs = answer?.retryAfterMs ?? 0;
    }
}
const textOf = (value) => (typeof value === 'string' ? value : undefined);
/** The refusal that an answer is. */
export const refusalOf = (answer) => new ClientError(textOf(answer.body.error) ?? 'server_error', textOf(answer.body.error_description) ?? `The auth server answered ${answer.status}.`, answer);
export const unreachable = (consequence) => new ClientError('unreachable', `The auth server cannot be reached; ${consequence}`);
/** RFC 9110 §10.2.3: seconds or a date. */
function retryAfterMs(header, now) {
    if (header === null)
        return 0;
    const ms = /^\d{1,9}$/.test(header) ? 1_000 * Number(header) : Date.parse(header) - now;
    return Number.isNaN(ms) ? 0 : Math.max(0, ms);
}
/**
 * One POST of JSON. It follows no redirect, because the body holds what only the auth server may see.
 * @param now the wall clock, in milliseconds
 * @returns undefined when no answer came, or none that the auth server gives: whether it did its work is then unknown
 */
export async function post(url, body, { now, headers = {} }) {
    try {
        const response = await fetch(url, {
            method: 'POST',
            headers: { 'content-type': 'application/json', ...headers },
            body: JSON.stringify(body),
            redirect: 'error',
            credentials: 'omit',
            cache: 'no-store',
            signal: AbortSignal.timeout(TIMEOUT_MS),
        });
        const { status } = response;
        const value = status === 204 ? {} : await response.json();
        if (typeof value !== 'object' || value === null)
            return undefined;
        return {
            status,
            body: value,
            retryAfterMs: retryAfterMs(response.headers.get('retry-after'), now),
        };
    }
    catch {
        // What it says would be of the engine, and differs from one to the next.
        return undefined;
    }
}
