/** A server and an `admin` client of it. */
import { expect } from 'vitest';
import type { Answer } from '../support/http-client.ts';
import { startTestServer, type TestClient, type TestServer } from '../support/test-server.ts';

export interface Admin {
  readonly server: TestServer;
  readonly admin: TestClient;
  get(path: string): Promise<Answer>;
  post(path: string, body?: unknown): Promise<Answer>;
}

export async function startWithAdmin(url: string, config: Readonly<Record<string, unknown>> = {}): Promise<Admin> {
  const server = await startTestServer({ url, config });
  const admin = await server.addClient('ops', { type: 'admin' });
  return {
    server,
    admin,
    get: (path) => server.send({ path, headers: admin.basic }),
    post: (path, body) =>
      body === undefined
        ? server.send({ method: 'POST', path, headers: admin.basic })
        : server.post(path, body, admin.basic),
  };
}

/** @param what was sent, for the message */
export const expectInvalid = (answer: Answer, what: unknown): void =>
  expect([answer.status, answer.body.error], `${String(JSON.stringify(what)).slice(0, 80)} ${answer.text}`).toEqual([
    400,
    'invalid_request',
  ]);
