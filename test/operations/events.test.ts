/** Reading the event log (contract §7 and §9, `events`). */
import { describe, expect, test } from 'vitest';
import type { App } from '../../src/app.ts';
import type { Subject } from '../../src/domain/ids.ts';
import { endOfEvents, followEvents, listEventPage, listNewestEvents } from '../../src/operations/events.ts';
import { recordEvent } from '../../src/store/events.ts';
import { describeOnBothDatabases, makeDatabase } from '../support/databases.ts';
import { openTestApp } from '../support/test-app.ts';

const note = (app: App, subject: string): Promise<void> =>
  app.store.write((tx) => recordEvent(tx, { type: 'user.enabled', data: { subject: subject as Subject } }));

const subjects = (events: readonly { readonly data: Readonly<Record<string, unknown>> }[]) =>
  events.map(({ data }) => data.subject);

describeOnBothDatabases('events', (makeOne) => {
  test('a page goes on where the one before ended, in order, with id, type, timestamp and data', async () => {
    const { app } = await openTestApp(await makeOne());
    for (const subject of ['a', 'b', 'c']) await note(app, subject);
    const type = 'user.enabled' as const;
    const first = await listEventPage(app, { type, limit: 2 });
    expect(first.events[0]).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      type,
      timestamp: '2026-03-01T12:00:00.250Z',
      data: { subject: 'a' },
    });
    const second = await listEventPage(app, { type, limit: 2, after: first.nextCursor ?? undefined });
    expect(subjects([...first.events, ...second.events])).toEqual(['a', 'b', 'c']);
    expect(second.nextCursor).toBeNull();
    // The id of an event is a cursor too: who has handled it asks for later ones.
    expect(subjects((await listEventPage(app, { type, limit: 9, after: first.events[0]?.id })).events)).toEqual([
      'b',
      'c',
    ]);
    expect(subjects(await listNewestEvents(app, { type, limit: 2 }))).toEqual(['b', 'c']);
  });

  test.each(['-1', '1.5', 'x', '', '01993b2e-0000-7000-8000-000000c4d1f7', '99999999999999999999'])(
    'after %j there is no place',
    async (after) => {
      const { app } = await openTestApp(await makeOne());
      await expect(listEventPage(app, { limit: 1, after })).rejects.toMatchObject({ code: 'invalid_request' });
    },
  );

  test('whoever follows sees each new event once, and none from before', async () => {
    const { app } = await openTestApp(await makeOne());
    await note(app, 'before');
    const next = followEvents(app, 'user.enabled', await endOfEvents(app));
    expect(await next()).toEqual([]);
    await note(app, 'a');
    await note(app, 'b');
    expect(subjects(await next())).toEqual(['a', 'b']);
    expect(await next()).toEqual([]);
    await note(app, 'c');
    expect(subjects(await next())).toEqual(['c']);
    expect(await next()).toEqual([]);
  });
});

/** A transaction that has recorded an event and is not committed yet. @returns commits it */
async function recording(app: App, ...names: readonly string[]): Promise<() => Promise<void>> {
  const gate = Promise.withResolvers<void>();
  const written = Promise.withResolvers<void>();
  const change = app.store.write(async (tx) => {
    for (const subject of names) {
      await recordEvent(tx, { type: 'user.enabled', data: { subject: subject as Subject } });
    }
    written.resolve();
    await gate.promise;
  });
  await written.promise;
  return () => {
    gate.resolve();
    return change;
  };
}

describe('events that are committed in another order than they were numbered (Postgres)', () => {
  test('whoever follows them sees each once, in order, and skips none', async () => {
    const { app } = await openTestApp(await makeDatabase('postgres'));
    await note(app, 'before');
    const next = followEvents(app, undefined, await endOfEvents(app));
    const first = await recording(app, 'first', 'with it');
    await note(app, 'early');
    const second = await recording(app, 'second');
    await note(app, 'later');
    expect(await next()).toEqual([]);
    await first();
    expect(subjects(await next())).toEqual(['first', 'with it', 'early']);
    await second();
    expect(subjects(await next())).toEqual(['second', 'later']);
    expect(await next()).toEqual([]);
  });

  test('whoever goes on after the last event of a page skips none', async () => {
    const { app } = await openTestApp(await makeDatabase('postgres'));
    await note(app, 'before');
    const late = await recording(app, 'late');
    await note(app, 'early');
    const type = 'user.enabled' as const;
    const page = await listEventPage(app, { type, limit: 10 });
    expect([subjects(page.events), page.nextCursor]).toEqual([['before'], null]);
    await late();
    const rest = await listEventPage(app, { type, limit: 10, after: page.events[0]?.id });
    expect(subjects(rest.events)).toEqual(['late', 'early']);
  });

  test('one that is undone, and a number that nobody has, hold nobody up', async () => {
    const { app } = await openTestApp(await makeDatabase('postgres'));
    const next = followEvents(app, 'user.enabled', await endOfEvents(app));
    await expect(
      app.store.write(async (tx) => {
        await recordEvent(tx, { type: 'user.enabled', data: { subject: 'undone' as Subject } });
        throw new Error('undone');
      }),
    ).rejects.toThrow('undone');
    await note(app, 'a');
    expect(subjects(await next())).toEqual(['a']);
  });

  test('many who record and one who follows: nothing is skipped, nothing comes twice', async () => {
    const { app } = await openTestApp(await makeDatabase('postgres'));
    const next = followEvents(app, undefined, await endOfEvents(app));
    const seen: unknown[] = [];
    let isOver = false;
    const recorders = Promise.all(
      Array.from({ length: 6 }, async (_, each) => {
        for (let count = 0; count < 40; count += 1) await note(app, `${each}.${count}`);
      }),
    ).finally(() => {
      isOver = true;
    });
    while (!isOver) seen.push(...subjects(await next()));
    await recorders;
    seen.push(...subjects(await next()));
    expect(seen).toHaveLength(240);
    expect(new Set(seen).size).toBe(240);
  });
});
