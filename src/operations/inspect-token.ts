/**
 * What a token is, and whether this server would accept it now, and why not. It judges by the same readers and the same
 * rule as `/verify` and `/refresh`, and changes nothing: a spent token that is looked at here ends no session.
 */
import type { App } from '../app.ts';
import { readAccessToken } from '../crypto/access-token.ts';
import { MAX_TOKEN_LENGTH } from '../crypto/jws.ts';
import { type RefreshTokenClaims, readRefreshToken } from '../crypto/refresh-token.ts';
import { type FamilyId, type KeyId, parseFamilyId } from '../domain/ids.ts';
import { decideRotation, type RotationDecision } from '../domain/rotation.ts';
import type { KeyState } from '../domain/signing-key.ts';
import type { EpochMs } from '../domain/time.ts';
import { type FamilyState, familyState, type TokenFamily } from '../domain/token-family.ts';
import { listKeys, type StoredKey } from '../store/signing-keys.ts';
import { findFamily } from '../store/token-families.ts';
import { findClientById } from './authenticate-client.ts';
import { keyRingsFor } from './key-ring.ts';
import { policyOf } from './policy.ts';

/** What the `typ` of the header says, be it genuine or not. */
export type TokenKind = 'access' | 'refresh' | 'unknown';
type Json = Readonly<Record<string, unknown>>;

export interface TokenReport {
  readonly kind: TokenKind;
  /** As the token says; true only if `isGenuine`. */
  readonly header: Json | null;
  readonly claims: Json | null;
  /** The signature is by a key of this server, and all that the server wrote is there. */
  readonly isGenuine: boolean;
  readonly accepted: boolean;
  /** The word that the server would answer with; null when it accepts. */
  readonly reason: string | null;
  /** One sentence for people: why not, or what to know all the same. */
  readonly explanation: string | null;
  readonly key: { readonly kid: string; readonly state: KeyState | null } | null;
  readonly family: { readonly sid: FamilyId; readonly state: FamilyState | null } | null;
}

interface Verdict {
  readonly isGenuine: boolean;
  readonly reason: string | null;
  readonly explanation: string | null;
}

const refused = (reason: string, explanation: string, isGenuine = true): Verdict => ({
  isGenuine,
  reason,
  explanation,
});

/** @throws Refusal master_key_unusable: refresh tokens cannot be judged without it */
export async function inspectToken(app: App, token: string): Promise<TokenReport> {
  const segments = token.length > MAX_TOKEN_LENGTH ? [] : token.split('.');
  const header = decodeObject(segments[0]);
  const claims = segments.length === 3 ? decodeObject(segments[1]) : null;
  const kind = segments.length === 3 ? kindOf(header) : 'unknown';
  const sid = parseFamilyId(claims?.sid);
  const kid = typeof header?.kid === 'string' ? header.kid : null;

  const now = app.clock.now();
  const { family, keys } = await app.store.read(async (db) => ({
    family: sid === undefined ? undefined : await findFamily(db, sid),
    keys: await listKeys(db),
  }));
  const key = keys.find((one) => one.kid === kid);
  const verdict =
    kind === 'unknown'
      ? refused('malformed', whyUnknown(token, segments, header), false)
      : kind === 'access'
        ? await judgeAccess(app, token, { key, family, now, claims })
        : await judgeRefresh(app, token, { key, family, now, claims });
  return {
    kind,
    header,
    claims,
    ...verdict,
    accepted: verdict.reason === null,
    key: kid === null ? null : { kid, state: key?.state ?? null },
    family: sid === undefined ? null : { sid, state: await stateOf(app, family, now) },
  };
}

function decodeObject(segment: string | undefined): Json | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(segment ?? '', 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : null;
  } catch {
    return null;
  }
}

const KINDS: Readonly<Record<string, TokenKind>> = { 'at+jwt': 'access', 'rt+jwt': 'refresh' };

const kindOf = (header: Json | null): TokenKind =>
  typeof header?.typ === 'string' ? (KINDS[header.typ] ?? 'unknown') : 'unknown';

function whyUnknown(token: string, segments: readonly string[], header: Json | null): string {
  if (token === '') return 'Nothing came in.';
  if (token.length > MAX_TOKEN_LENGTH) return 'It is longer than 8 KiB, and refused unread.';
  if (segments.length === 5 && header !== null) return 'It is an encrypted token (JWE); this server makes none.';
  if (segments.length !== 3 || header === null) return 'It is not a JWT.';
  return 'It is a JWT, but its "typ" is neither at+jwt nor rt+jwt.';
}

async function stateOf(app: App, family: TokenFamily | undefined, now: EpochMs): Promise<FamilyState | null> {
  if (family === undefined) return null;
  const { idleTimeout } = policyOf(app, await findClientById(app, family.clientId));
  return familyState(family, idleTimeout, now);
}

interface Context {
  readonly key: StoredKey | undefined;
  readonly family: TokenFamily | undefined;
  readonly now: EpochMs;
  readonly claims: Json | null;
}

/** Why a token with the right `typ` is not one that this server made. */
function whyMalformed(app: App, { key, claims }: Context): Verdict {
  const explain = (text: string): Verdict => refused('malformed', text, false);
  if (key === undefined) return explain('Its key is not known here: forgotten, or of another server.');
  if (claims === null) return explain('Its claims are no JSON object.');
  if (claims.iss !== app.config.issuer) return explain('Its issuer is not this server, or it was changed on the way.');
  return explain('Its signature is not by the key that it names: it was changed on the way, or respelled.');
}

async function judgeAccess(app: App, token: string, context: Context): Promise<Verdict> {
  const ring = await keyRingsFor(app, token);
  const reading = readAccessToken(token, ring, app.config.issuer, context.now);
  if (reading.kind === 'malformed') return whyMalformed(app, context);
  if (reading.kind === 'expired') return refused('expired', 'It has expired.');
  if (ring.access.byId.get(reading.claims.kid as KeyId)?.state === 'compromised') {
    return refused('revoked', 'Its key was declared compromised.');
  }
  const { family } = context;
  if (family === undefined) return refused('revoked', 'Its session is not known: it was purged.');
  if (family.revoked !== null) return refused('revoked', `Its session was ended (${family.revoked.cause}).`);
  return { isGenuine: true, reason: null, explanation: null };
}

async function judgeRefresh(app: App, token: string, context: Context): Promise<Verdict> {
  const ring = await keyRingsFor(app, token);
  const reading = readRefreshToken(token, ring, app.config.issuer, context.now);
  if (reading.kind === 'malformed') return whyMalformed(app, context);
  if (reading.kind === 'expired') return refused('expired', 'It has expired.');
  return explainDecision(await decide(app, reading.claims, context), context.family);
}

/** As a refresh with a fitting access token and without `Idempotency-Key` would be judged. */
async function decide(app: App, claims: RefreshTokenClaims, { family, now }: Context): Promise<RotationDecision> {
  const policy = policyOf(app, await findClientById(app, claims.clientId));
  const { generation, jti } = claims;
  return decideRotation(family, { generation, jti, proof: 'held' }, { requestKeyHash: null, now }, policy);
}

const REUSE = {
  late_retry: 'It was exchanged for a newer one',
  stale: 'It was exchanged for a newer one, and that again',
  fork: 'Another token of the same generation is the current one',
} as const;

function explainDecision(decision: RotationDecision, family: TokenFamily | undefined): Verdict {
  switch (decision.kind) {
    case 'rotate':
      return { isGenuine: true, reason: null, explanation: null };
    case 'replay':
      return {
        isGenuine: true,
        reason: null,
        explanation: 'It was exchanged, but its client has leeway: it gets the same successor.',
      };
    case 'reuse':
      return refused(
        'reused',
        `${REUSE[decision.class]}: a refresh with it would end its session (${decision.class}).`,
      );
    case 'rolled_back':
      return refused(
        'unknown',
        'The database has not reached its generation: it was restored. A refresh with it would end its session.',
      );
    case 'reject':
      return refused(decision.reason, whyRejected(decision.reason, family));
  }
}

function whyRejected(reason: 'unknown' | 'revoked' | 'expired' | 'mismatch', family: TokenFamily | undefined): string {
  if (reason === 'unknown') return 'Its session is not known: it was purged.';
  if (reason === 'revoked') return `Its session was ended (${family?.revoked?.cause ?? 'revoked'}).`;
  return reason === 'expired'
    ? 'Its session is past its end, or was idle for too long.'
    : 'It does not fit its access token.';
}
