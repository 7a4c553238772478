import { type SessionStorage } from './session.js';
export type { Session, SessionStorage } from './session.js';
export { ClientError } from './wire.js';
export interface ClientOptions {
    /** The auth server's issuer, which is its address: `https://auth.example.com`. */
    readonly issuer: string;
    /** A public `app` client of the server. Without it logins belong to the built-in client `default`. */
    readonly clientId?: string;
    /** Who may see the access token: `['https://api.example.com']`. Without it the page's own origin alone. */
    readonly origins?: readonly string[];
    /** Where the session is kept; without it in memory. */
    readonly storage?: SessionStorage;
    /** The server has ended the session; the reason is that of `/refresh`: `expired`, `revoked`, `reused`, … */
    readonly onSignedOut?: (reason: string) => void;
    /** Where a browser goes then. */
    readonly loginUrl?: string;
}
export interface Credentials {
    readonly username: string;
    readonly password: string;
    /** What lists of sessions call this one, such as the name of the phone: at most 128 characters. */
    readonly device?: string;
}
export interface Client {
    /** @throws ClientError with the server's code: `invalid_credentials`; `too_many_attempts`, with `retryAfterMs`; `unreachable` */
    login(credentials: Credentials): Promise<void>;
    /**
     * As the global `fetch`, with the access token. A request that is refused for its token is sent once more with a new one,
     * unless its body is a stream, which cannot be sent twice. A redirect is an error unless `init.redirect` says otherwise:
     * not every engine takes the token away from a request that is sent on to another origin.
     * @throws ClientError `not_logged_in`; `origin_not_allowed`; `invalid_grant` when the session has ended; `unreachable`
     */
    fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
    /** Forgets the session, then ends it at the server. @throws ClientError when the server did not hear of it */
    logout(): Promise<void>;
}
/** A client of one session. @throws TypeError when the issuer or an origin is no URL */
export declare function createClient(options: ClientOptions): Client;
