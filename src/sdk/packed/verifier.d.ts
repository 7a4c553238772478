export interface VerifierOptions {
    /** The auth server's issuer, letter by letter; it is its address, too. */
    readonly issuer: string;
    /** What this API is called: a token has to be for it, or for one of several. */
    readonly audience: string | readonly string[];
    /** A `resource-server` client of the server, for the feed. */
    readonly clientId: string;
    readonly clientSecret: string;
    /** How long the feed may be lost before the verifier is stale: `"10s"`, which is the default; `"500ms"`, `"1m"`. */
    readonly maxStaleness?: string;
    /**
     * What to do with a good token while revocations are not heard of: `reject` it, which is the default, or `accept` it,
     * and with it those that were revoked since. A signature is never taken on trust.
     */
    readonly whenStale?: 'reject' | 'accept';
}
/** What an access token says (RFC 9068), with the claims that the server's `tokens.claims` lets through. Times are seconds. */
export interface AccessTokenClaims {
    readonly iss: string;
    /** Who the user is. */
    readonly sub: string;
    readonly aud: string | readonly string[];
    /** The app. */
    readonly client_id: string;
    readonly iat: number;
    readonly exp: number;
    readonly jti: string;
    /** The session. */
    readonly sid: string;
    readonly auth_time: number;
    readonly [claim: string]: unknown;
}
/**
 * The reasons of `/verify`, and `stale`: whether the token is good cannot be told now. That is the API's trouble and not its
 * caller's: answer `503`, never `401`, or the caller throws a good session away.
 */
export type Verdict = {
    readonly active: true;
    readonly claims: AccessTokenClaims;
} | {
    readonly active: false;
    readonly reason: 'malformed' | 'expired' | 'wrong_audience' | 'revoked' | 'stale';
};
export interface VerifierStatus {
    /** Revocations are not heard of: since the start, for longer than `maxStaleness`, or because nobody asked for longer. */
    readonly stale: boolean;
    /** What is wrong, for a log; undefined after a question to the server that was answered. It holds no secret. */
    readonly fault: string | undefined;
}
export interface Verifier {
    /** Never rejects. The first call, and one after a long silence, waits for the server, for three seconds at most each. */
    verify(token: string): Promise<Verdict>;
    status(): VerifierStatus;
    /** Ends the request that waits for revocations. From then on the verifier is stale. */
    close(): void;
}
/** To be made once for each process, and kept. @throws TypeError for options that cannot work */
export declare function createVerifier(options: VerifierOptions): Verifier;
