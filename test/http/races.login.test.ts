/** Logins by the hundred at once (security L13): each is refused in its word, none is an error, and others are served. */
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { startTestServer } from '../support/test-server.ts';

const LOGINS = 500;
const ALLOWED = ['401 invalid_credentials', '429 too_many_attempts', '503 overloaded'];

describeOnBothDatabases('a storm of wrong logins', (makeDatabase) => {
  test('L13: 500 at once are 401, 429 or 503, /verify answers meanwhile, and the right password is good afterwards', async () => {
    // How long one of them may take is another matter, and depends on the machine.
    const config = { 'server.requestTimeout': '120s' };
    const server = await startTestServer({ url: await makeDatabase(), config });
    const pair = await server.login();
    const storm = Promise.all(
      Array.from({ length: LOGINS }, async (_, number) => {
        const { status, body } = await server.tryLogin({ username: `user-${number % 50}`, password: 'wrong password' });
        return `${status} ${String(body.error)}`;
      }),
    );
    let isOver = false;
    const ended = storm.finally(() => {
      isOver = true;
    });
    let verified = 0;
    while (!isOver) {
      expect(await server.verify(pair.access_token)).toMatchObject({ active: true });
      verified += 1;
    }
    const answers = await ended;
    expect(answers.filter((answer) => !ALLOWED.includes(answer))).toEqual([]);
    expect(new Set(answers)).toContain('401 invalid_credentials');
    // The address has failed too often by now.
    expect(new Set(answers)).toContain('429 too_many_attempts');
    expect(verified).toBeGreaterThan(0);
    server.clock.advance(900_000);
    await server.login();
  }, 180_000);
});
