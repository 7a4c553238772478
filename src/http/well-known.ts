/** What clients discover: the published keys and the metadata (RFC 7517, RFC 8414); and what orchestrators ask. */
import type { App } from '../app.ts';
import { JWKS_MAX_AGE } from '../domain/signing-key.ts';
import { readiness } from '../operations/health.ts';
import { Refusal } from '../refusal.ts';
import { type Answer, json } from './answer.ts';
import type { HttpRequest } from './request.ts';

const cacheable = { 'Cache-Control': `max-age=${JWKS_MAX_AGE / 1_000}` } as const;

/** RFC 7517 §5: next, active and retiring keys. 304 for who has them already (RFC 9110 §13.1.2). */
export async function getJwks(app: App, request: HttpRequest): Promise<Answer> {
  const { jwks } = await app.keys.current();
  const headers = { ...cacheable, ETag: jwks.etag };
  const known = request.incoming.headers['if-none-match'];
  const isKnown = (etag: string): boolean => etag === '*' || etag.replace(/^W\//, '') === jwks.etag;
  if (known?.split(',').some((etag) => isKnown(etag.trim()))) return { status: 304, headers };
  return { status: 200, body: jwks.text, headers: { 'Content-Type': 'application/jwk-set+json', ...headers } };
}

/** RFC 8414 §2. `issuer` is the configured one, byte for byte: never what a request's `Host` says. */
export async function getMetadata(app: App): Promise<Answer> {
  const { issuer } = app.config;
  const base = issuer.replace(/\/$/, '');
  const methods = ['client_secret_basic', 'client_secret_post', 'none'];
  return json(
    200,
    {
      issuer,
      token_endpoint: `${base}/oauth/token`,
      jwks_uri: `${base}/.well-known/jwks.json`,
      introspection_endpoint: `${base}/oauth/introspect`,
      revocation_endpoint: `${base}/oauth/revoke`,
      response_types_supported: [],
      grant_types_supported: ['refresh_token'],
      token_endpoint_auth_methods_supported: methods,
      revocation_endpoint_auth_methods_supported: methods,
      introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'Bearer'],
    },
    cacheable,
  );
}

/** The process answers. It asks nobody, so that a database that is away restarts no server. */
export const getHealth = async (): Promise<Answer> => json(200, { status: 'ok' });

/** A key that cannot be read only degrades; a stop says so before connections are closed. */
export async function getReadiness(app: App, _request: HttpRequest, isStopping: () => boolean): Promise<Answer> {
  if (isStopping()) throw new Refusal('temporarily_unavailable', 'The server is stopping; ask another one.');
  return json(200, { status: await readiness(app) });
}
