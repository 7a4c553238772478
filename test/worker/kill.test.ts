/** Three workers killed in turn before a flaky receiver: all that was committed arrives, in order per family (N19, I43). */
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { answer, openWebhookReceiver } from '../support/webhook-receiver.ts';
import { EVENTS, killWorkers, LONGEST, tally } from './kill-workers.ts';
import { SECRET } from './support.ts';

/** Shares of requests that are answered 500, which costs 5 s and more, and that are never answered, which costs 15. */
const FAILING = EVENTS > 5_000 ? 0.3 : 0.1;
const HANGING = EVENTS > 5_000 ? 0.1 : 0.002;

describeOnBothDatabases('workers that are killed', (database) => {
  test(
    `N19: of ${EVENTS} events to a flaky webhook none is lost, and each family keeps its order`,
    async () => {
      const receiver = await openWebhookReceiver();
      receiver.behave((received, response) => {
        const dice = Math.random();
        if (dice < HANGING) return;
        answer(dice < HANGING + FAILING ? 500 : 200)(received, response);
      });
      await killWorkers(await database(), {
        webhooks: [{ url: receiver.url, secret: SECRET, types: ['family.revoked'] }],
      });
      const { duplicates, ...rest } = tally(receiver.accepted.map(({ event }) => event));
      process.stdout.write(`${EVENTS} events, ${receiver.received.length} attempts, ${duplicates} duplicates\n`);
      expect(rest).toEqual({ missing: [], disordered: [] });
    },
    LONGEST,
  );
});
