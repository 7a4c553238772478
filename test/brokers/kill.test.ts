/** Three workers killed in turn before each kind of broker: all that was committed arrives, in order per family (N19, I43). */
import { expect, onTestFinished, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { EVENTS, killWorkers, LONGEST, tally } from '../worker/kill-workers.ts';
import { BROKERS } from './brokers.ts';

const NAME = 'test-events';

test.each(BROKERS)(
  `N19: of ${EVENTS} events to %s none is lost while workers are killed`,
  async (_, start) => {
    const broker = await start();
    onTestFinished(() => broker.remove());
    await broker.subscribe(NAME);
    await killWorkers(await makeDatabase('postgres'), {
      brokers: [{ url: broker.url, name: NAME, types: ['family.revoked'] }],
    });
    const { duplicates, ...rest } = tally(await broker.consume(NAME));
    process.stdout.write(`${EVENTS} events, ${duplicates} duplicates\n`);
    expect(rest).toEqual({ missing: [], disordered: [] });
  },
  LONGEST,
);
