/** The terminal interface while its database takes its time, or goes away in the middle: keys mean what the screen shows. */
import { expect, test } from 'vitest';
import { type Model, makeModel } from '../../cli/tui/model.ts';
import type { App } from '../../src/app.ts';
import { Secret } from '../../src/domain/secret.ts';
import { addUser } from '../../src/operations/users.ts';
import { Refusal } from '../../src/refusal.ts';
import { makeDatabase } from '../support/databases.ts';
import { logIn, openTestApp, storeFamilies } from '../support/test-app.ts';
import { until } from '../support/until.ts';

interface Slow {
  readonly app: App;
  readonly model: Model;
  readonly sids: readonly string[];
  advance(ms: number): void;
  /** The next reading waits. @returns whether it has begun, and what lets it go on */
  holdNext(): { readonly isWaiting: () => boolean; readonly letGo: () => void };
  /** From now on nothing can be written. */
  breakWrites(): void;
}

/** Two sessions, the newest first: of bob, of alice; in a window that keeps the story beside the list. */
async function openSlow(): Promise<Slow> {
  const { app: real, clock } = await openTestApp(await makeDatabase('sqlite'));
  let next: Promise<void> | undefined;
  let isBroken = false;
  const app: App = {
    ...real,
    store: {
      ...real.store,
      async read(query) {
        const gate = next;
        next = undefined;
        await gate;
        return real.store.read(query);
      },
      async write(change) {
        if (isBroken) throw new Refusal('temporarily_unavailable', 'The database does not answer.');
        return real.store.write(change);
      },
    },
  };
  const [alice = ''] = await storeFamilies(real, [{ subject: 'alice' }]);
  clock.advance(1_000);
  const [bob = ''] = await storeFamilies(real, [{ subject: 'bob' }]);
  const nothing = (): undefined => undefined;
  const model = makeModel({
    app,
    screen: 0,
    log: () => [],
    isSchemaBehind: () => false,
    onMigrated: nothing,
    quit: nothing,
  });
  model.fit({ columns: 120, rows: 36 });
  await model.turn();
  return {
    app,
    model,
    sids: [bob, alice],
    advance: clock.advance,
    holdNext() {
      const { promise, resolve } = Promise.withResolvers<void>();
      const gate = promise;
      next = gate;
      return { isWaiting: () => next !== gate, letGo: resolve };
    },
    breakWrites: () => {
      isBroken = true;
    },
  };
}

const type = (model: Model, keys: string): void => {
  for (const key of keys) model.press(key);
};

const listed = (model: Model): number | undefined => model.state().listing?.ids.length;

test('a session that is opened while another is on screen can be ended when it has been read, not the other one', async () => {
  const { model, sids, holdNext } = await openSlow();
  expect(model.state().story?.row.sid).toBe(sids[0]);
  const story = holdNext();
  type(model, 'j\r');
  expect(model.state().opened?.sid).toBe(sids[1]);
  type(model, 'r');
  expect(model.state().over).toBeUndefined();
  expect(model.state().message).toContain('it is being read');
  story.letGo();
  await until(() => model.state().story?.row.sid === sids[1], 'the session is read');
  type(model, 'r');
  expect(model.state().over).toMatchObject({ kind: 'question', question: { text: expect.stringContaining('alice') } });
});

test('a filter that was typed is read, also when the cursor moves at once', async () => {
  const { model } = await openSlow();
  type(model, '/ali\rj');
  await until(() => listed(model) === 1, 'the filter has been read');
  expect(model.state().filter).toBe('ali');
});

test('the list of a filter is shown, also when the rows on screen are read again while it loads', async () => {
  const { model, holdNext } = await openSlow();
  const found = holdNext();
  type(model, '/ali\r');
  await until(found.isWaiting, 'the filter is being read');
  await model.turn();
  expect(listed(model)).toBe(2);
  found.letGo();
  await until(() => listed(model) === 1, 'what was found is shown');
});

test('what follows a list is shown, also when the rows on screen are read again while it loads', async () => {
  const { app, model, holdNext } = await openSlow();
  await storeFamilies(
    app,
    Array.from({ length: 120 }, () => ({ subject: 'many' })),
  );
  type(model, 'u');
  await until(() => listed(model) === 100, 'a page is listed');
  const rest = holdNext();
  type(model, '.');
  await until(rest.isWaiting, 'the rest is being read');
  await model.turn();
  rest.letGo();
  await until(() => listed(model) === 122, 'all are listed');
});

test('u in an open session reads it again and stays on it', async () => {
  const { model, sids } = await openSlow();
  type(model, 'j\r');
  await until(() => model.state().story?.row.sid === sids[1], 'the session is read');
  type(model, 'u');
  expect(model.state().cursorId).toBe(sids[1]);
  await until(() => model.state().story?.row.sid === sids[1], 'it is read again');
  expect(model.state().cursorId).toBe(sids[1]);
});

test('an action whose database goes away says that nobody knows what came of it', async () => {
  const { model, advance, breakWrites } = await openSlow();
  type(model, 'r');
  advance(400);
  breakWrites();
  type(model, 'y');
  await until(() => model.state().lost !== undefined, 'the database is missed');
  expect(model.state().message).toContain('not known');
  advance(20_000);
  await model.turn();
  expect(model.state().lost).toBeUndefined();
  expect(model.state().message).not.toBe('working');
});

test('a login is counted once, also by two turns at the same time', async () => {
  const { app, model } = await openSlow();
  await addUser(app, { name: 'carol', password: new Secret('8 letters') });
  await logIn(app, 'carol', '8 letters');
  await Promise.all([model.turn(), model.turn()]);
  expect(model.state().rates?.logins).toBe(1);
});
