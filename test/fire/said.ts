/** What every path of a server says of one family: an end has to be the same on all of them. */
import type { Session } from '../../scripts/fire/load.ts';
import { type Answer, get, post } from '../../scripts/fire/wire.ts';
import type { Served } from './ground.ts';

/** What each path says of a family. */
export async function saidOnAllPaths(served: Served, api: string, session: Session): Promise<Record<string, string>> {
  const { accessToken, refreshToken } = session;
  const reasonIn = ({ status, text }: Answer): string => {
    const body: { reason?: string; active?: boolean; error?: string } = text === '' ? {} : JSON.parse(text);
    return `${status} ${body.reason ?? body.error ?? (body.active === undefined ? '' : `active: ${body.active}`)}`.trim();
  };
  const basic = Buffer.from(api.slice('Basic '.length), 'base64').toString();
  const form = (target: string, fields: Record<string, string>, headers: Record<string, string> = {}): string => {
    const body = new URLSearchParams(fields).toString();
    const extra = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    return (
      `POST ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n` +
      `${extra.join('')}Content-Length: ${body.length}\r\n\r\n${body}`
    );
  };
  const said = async (request: string): Promise<string> => reasonIn(await served.send(request));
  return {
    verify: await said(post('/verify', { token: accessToken }, { Authorization: api })),
    forwardAuth: await said(
      get('/forward-auth', { Authorization: `Bearer ${accessToken}`, 'X-Auth-Server-Client': basic }),
    ),
    introspect: await said(form('/oauth/introspect', { token: accessToken }, { Authorization: api })),
    sessions: await said(post('/sessions', { refresh_token: refreshToken })),
    refresh: await said(post('/refresh', { access_token: accessToken, refresh_token: refreshToken })),
    token: await said(
      form('/oauth/token', { grant_type: 'refresh_token', refresh_token: refreshToken, client_id: 'default' }),
    ),
  };
}

/** What `saidOnAllPaths` gives for a family that was revoked. */
export const REVOKED = {
  verify: '200 revoked',
  forwardAuth: '401 invalid_token',
  introspect: '200 active: false',
  sessions: '401 revoked',
  refresh: '401 revoked',
  token: '400 invalid_grant',
} as const;
