/** What a client keeps of a session, where, and how it names a refresh so that each repetition of it has the same name. */
/** Forgets the session with the page or the process. */
export function memoryStorage() {
    let held;
    return {
        get: () => held,
        set: (session) => {
            held = session;
        },
        remove: () => {
            held = undefined;
        },
    };
}
/** @returns undefined for anything that is not a whole session, such as what another program left there */
export function asSession(value) {
    if (typeof value !== 'object' || value === null)
        return undefined;
    const { access_token, refresh_token, session_id, expires_at, salt } = value;
    const texts = [access_token, refresh_token, session_id, salt];
    const isWhole = Number.isFinite(expires_at) && texts.every((text) => typeof text === 'string' && text !== '');
    return isWhole ? value : undefined;
}
const text = new TextEncoder();
const base64url = (bytes) => btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
/** 256 random bits. */
export const newSalt = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
/**
 * The `Idempotency-Key` of the refresh that spends this refresh token: base64url(HMAC-SHA-256(salt, refresh token)), the
 * salt as it is spelled. Tabs, processes and restarts that share the session send the same; without the salt nobody can
 * tell it from the token, so a thief of the token alone repeats nothing.
 */
export async function requestKey(salt, refreshToken) {
    const hmac = { name: 'HMAC', hash: 'SHA-256' };
    const key = await crypto.subtle.importKey('raw', text.encode(salt), hmac, false, ['sign']);
    return base64url(new Uint8Array(await crypto.subtle.sign('HMAC', key, text.encode(refreshToken))));
}
