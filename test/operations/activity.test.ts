/** What the screen says of receivers: who is well, and who is tried again. */
import { expect, test } from 'vitest';
import { durationMs, epochMs, SECOND } from '../../src/domain/time.ts';
import { reportOnReceivers } from '../../src/operations/activity.ts';
import { keepReceivers } from '../../src/operations/receivers.ts';
import { claimDeliveries, settleDelivery } from '../../src/store/deliveries.ts';
import { distribute } from '../../src/worker/distribute.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { openTestApp } from '../support/test-app.ts';
import { created, record, SECRET } from '../worker/support.ts';

describeOnBothDatabases('the report on receivers', (makeDatabase) => {
  test('a first attempt under way is no retry; one that failed is', async () => {
    const webhooks = [{ url: 'https://hooks.example/one', secret: SECRET }];
    const { app } = await openTestApp(await makeDatabase(), { 'events.webhooks': webhooks });
    const [receiver] = await keepReceivers(app);
    if (receiver === undefined) throw new Error('there is a receiver');
    await record(app, created('spa'));
    await distribute(app, [receiver]);
    const lease = durationMs(20 * SECOND);
    const claimed = await app.store.write((tx) => claimDeliveries(tx, { receiver: receiver.key, limit: 16, lease }));
    expect(claimed.length).toBeGreaterThan(0);
    expect(await reportOnReceivers(app)).toMatchObject({ ok: 1, retrying: 0, nextAttemptAt: null });

    const nextAttemptAt = epochMs(app.clock.now() + 5_000);
    const settlement = { state: 'pending', error: 'no answer', nextAttemptAt } as const;
    for (const one of claimed) await app.store.write((tx) => settleDelivery(tx, one, settlement));
    expect(await reportOnReceivers(app)).toMatchObject({ ok: 0, retrying: 1, nextAttemptAt });
  });
});
