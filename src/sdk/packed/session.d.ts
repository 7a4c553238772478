/** What a client keeps of a session, where, and how it names a refresh so that each repetition of it has the same name. */
/** Plain JSON. Whoever has it is the user: keep it where only the user's own programs can read. */
export interface Session {
    readonly access_token: string;
    readonly refresh_token: string;
    readonly session_id: string;
    /** When the access token expires, in milliseconds by the clock of this machine. */
    readonly expires_at: number;
    /** Random, made at login; with the refresh token it gives the `Idempotency-Key`. */
    readonly salt: string;
}
/** Where the session is kept. All tabs or processes that share a session have to share its storage. */
export interface SessionStorage {
    /** @returns what `set` was last given; null or undefined when there is nothing */
    get(): unknown;
    /** Has to be durable when it returns, or resolves: the refresh token that it replaces is spent. */
    set(session: Session): void | Promise<void>;
    remove(): void | Promise<void>;
}
/** Forgets the session with the page or the process. */
export declare function memoryStorage(): SessionStorage;
/** @returns undefined for anything that is not a whole session, such as what another program left there */
export declare function asSession(value: unknown): Session | undefined;
/** 256 random bits. */
export declare const newSalt: () => string;
/**
 * The `Idempotency-Key` of the refresh that spends this refresh token: base64url(HMAC-SHA-256(salt, refresh token)), the
 * salt as it is spelled. Tabs, processes and restarts that share the session send the same; without the salt nobody can
 * tell it from the token, so a thief of the token alone repeats nothing.
 */
export declare function requestKey(salt: string, refreshToken: string): Promise<string>;
