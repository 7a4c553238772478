/** Reading the event log (contract §7 and §9, `events`). */
import { expect, test } from 'vitest';
import type { App } from '../../src/app.ts';
import type { Subject } from '../../src/domain/ids.ts';
import { SECOND } from '../../src/domain/time.ts';
import { followEvents, listEventPage, listNewestEvents } from '../../src/operations/events.ts';
import { recordEvent } from '../../src/store/events.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { openTestApp } from '../support/test-app.ts';

const note = (app: App, subject: string): Promise<void> =>
  app.store.write((tx) => recordEvent(tx, { type: 'user.enabled', data: { subject: subject as Subject } }));

const subjects = (events: readonly { readonly data: Readonly<Record<string, unknown>> }[]) =>
  events.map(({ data }) => data.subject);

describeOnBothDatabases('events', (makeDatabase) => {
  test('a page goes on where the one before ended, in order, with id, type, timestamp and data', async () => {
    const { app } = await openTestApp(await makeDatabase());
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
      const { app } = await openTestApp(await makeDatabase());
      await expect(listEventPage(app, { limit: 1, after })).rejects.toMatchObject({ code: 'invalid_request' });
    },
  );

  test('whoever follows sees each new event once, and none from before', async () => {
    const { app, clock } = await openTestApp(await makeDatabase());
    await note(app, 'before');
    const next = await followEvents(app, 'user.enabled');
    expect(await next()).toEqual([]);
    await note(app, 'a');
    await note(app, 'b');
    expect(subjects(await next())).toEqual(['a', 'b']);
    expect(await next()).toEqual([]);
    clock.advance(60 * SECOND);
    await note(app, 'c');
    expect(subjects(await next())).toEqual(['c']);
    clock.advance(60 * SECOND);
    expect(await next()).toEqual([]);
  });

  test('an event that was committed after one with a higher number is not skipped', async () => {
    const { app } = await openTestApp(await makeDatabase());
    if (app.store.dialect === 'sqlite') return;
    const next = await followEvents(app, undefined);
    let commitFirst = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      commitFirst = resolve;
    });
    let isWritten = (): void => undefined;
    const written = new Promise<void>((resolve) => {
      isWritten = resolve;
    });
    const late = app.store.write(async (tx) => {
      await recordEvent(tx, { type: 'user.enabled', data: { subject: 'late' as Subject } });
      isWritten();
      await gate;
    });
    await written;
    await note(app, 'early');
    expect(subjects(await next())).toEqual(['early']);
    commitFirst();
    await late;
    expect(subjects(await next())).toEqual(['late']);
  });
});
