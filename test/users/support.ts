/** A server whose users are those of a stub, and what a login that the stub spoils must leave behind: nothing. */
import { expect } from 'vitest';
import type { Answer } from '../support/http-client.ts';
import type { StubUserService } from '../support/stub-user-service.ts';
import { PASSWORD, startTestServer, type TestServer } from '../support/test-server.ts';

export const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

/** @param service its address, or the stub at whose `/login` and `/status` it is asked */
export function startWith(
  url: string,
  service: StubUserService | string,
  config: Readonly<Record<string, unknown>> = {},
): Promise<TestServer> {
  const origin = typeof service === 'string' ? service : service.origin;
  return startTestServer({
    url,
    config: {
      'users.directory': 'http',
      'users.http.url': `${origin}/login`,
      'users.http.statusUrl': `${origin}/status`,
      'users.http.secret': SECRET,
      'users.http.timeout': '5s',
      ...config,
    },
  });
}

/** Longer than the breaker leaves a service alone. */
export const REST_MS = 2_000;

export function expectUnavailable(answer: Answer): void {
  expect(answer.status, answer.text).toBe(503);
  expect(answer.body.error).toBe('user_directory_unavailable');
  expect(answer.headers['retry-after']).toMatch(/^[12]$/);
}

/** One login that gets no answer of use: 503, nothing changed, and nobody hears of the password. */
export async function expectNoEntry(server: TestServer): Promise<void> {
  const before = await server.dump();
  expectUnavailable(await server.tryLogin());
  expect(await server.dump()).toEqual(before);
  expect(server.log()).not.toContain(PASSWORD);
  server.clock.advance(REST_MS);
}
