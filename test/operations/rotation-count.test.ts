/** Refreshes are counted for who watches from another process, on both databases. */
import { expect, test } from 'vitest';
import { watchActivity } from '../../src/operations/activity.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { startTestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

describeOnBothDatabases('the count of refreshes', (makeDatabase) => {
  test('those of several servers add up, replays and refusals are none of them', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const beside = await startTestServer({ url, beside: server });
    const { app: watching } = await startTestServer({ url, beside: server });
    const look = await watchActivity(watching);
    const { rotations: before } = await look();
    const first = await server.login();
    const second = await server.refresh(first, { key: 'one-and-the-same-request' });
    await server.refresh(first, { key: 'one-and-the-same-request' });
    await beside.refresh(second);
    expect((await beside.tryRefresh(second)).status).toBe(401);
    await until(async () => Number((await look()).rotations) - Number(before) === 2, 'both are counted');
    await Promise.all([server.stop(), beside.stop()]);
    expect(Number((await look()).rotations) - Number(before)).toBe(2);
  });
});
