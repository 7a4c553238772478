/** The revocation feed as its readers see it, and what fills it. */
import { expect } from 'vitest';
import type { Answer } from './http-client.ts';
import type { TestServer } from './test-server.ts';

interface Entry {
  readonly cursor: string;
  readonly sid?: string;
  readonly kid?: string;
}

/** What `GET /revocations` answers. */
export interface Feed {
  readonly entries: readonly Entry[];
  readonly cursor: string;
  readonly reset: boolean;
}

export const ask = (server: TestServer, query = ''): Promise<Answer> =>
  server.send({ path: `/revocations${query}`, headers: server.api.basic });

export async function read(server: TestServer, query = ''): Promise<Feed> {
  const answer = await ask(server, query);
  expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
  expect(Object.keys(answer.body)).toEqual(['entries', 'cursor', 'reset']);
  return answer.body as unknown as Feed;
}

export const sidsOf = ({ entries }: Feed): (string | undefined)[] => entries.map(({ sid }) => sid);

/** A session that has just ended. @returns its id */
export async function end(server: TestServer): Promise<string> {
  const { refresh_token, session_id } = await server.login();
  expect((await server.post('/logout', { refresh_token })).status).toBe(204);
  return session_id;
}
