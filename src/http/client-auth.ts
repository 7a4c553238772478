/** Client credentials as they come over HTTP (RFC 6749 §2.3.1): `Basic`, or a bearer secret. */
import type { IncomingMessage } from 'node:http';
import type { ClientCredentials } from '../operations/authenticate-client.ts';
import { countHeader } from './request.ts';

/** What the header is, before anybody asks whether it is right. */
export type Authorization =
  | { readonly scheme: 'none' }
  | { readonly scheme: 'basic'; readonly credentials: ClientCredentials }
  | { readonly scheme: 'bearer'; readonly token: string }
  | { readonly scheme: 'unusable' };

/** `unusable`: another scheme, broken, or sent twice. The scheme's name is case-insensitive (RFC 9110 §11.1). */
export function readAuthorization(incoming: IncomingMessage): Authorization {
  const header = incoming.headers.authorization;
  if (header === undefined) return { scheme: 'none' };
  if (countHeader(incoming, 'authorization') > 1) return { scheme: 'unusable' };
  const space = header.indexOf(' ');
  const scheme = (space === -1 ? header : header.slice(0, space)).toLowerCase();
  const value = space === -1 ? '' : header.slice(space + 1).trim();
  if (scheme === 'bearer' && value !== '') return { scheme: 'bearer', token: value };
  if (scheme !== 'basic') return { scheme: 'unusable' };
  const credentials = readBasic(value);
  return credentials === undefined ? { scheme: 'unusable' } : { scheme: 'basic', credentials };
}

/** Id and secret are percent-decoded; both have alphabets in which the encoded and the raw form are equal. */
function readBasic(value: string): ClientCredentials | undefined {
  const text = Buffer.from(value, 'base64').toString('utf8');
  return readPair(text);
}

/** `<id>:<secret>`. */
export function readPair(text: string): ClientCredentials | undefined {
  const colon = text.indexOf(':');
  if (colon <= 0) return undefined;
  try {
    return { id: decodeURIComponent(text.slice(0, colon)), secret: decodeURIComponent(text.slice(colon + 1)) };
  } catch {
    return undefined;
  }
}

/** Where a client authenticates by `Basic`, or by its secret as a bearer token. */
export function clientCredentials(incoming: IncomingMessage): ClientCredentials | undefined {
  const authorization = readAuthorization(incoming);
  if (authorization.scheme === 'basic') return authorization.credentials;
  return authorization.scheme === 'bearer' ? { id: null, secret: authorization.token } : undefined;
}

/** Where only a confidential app authenticates; whatever else stands in the header is not for us. */
export function basicCredentials(incoming: IncomingMessage): ClientCredentials | undefined {
  const authorization = readAuthorization(incoming);
  return authorization.scheme === 'basic' ? authorization.credentials : undefined;
}
