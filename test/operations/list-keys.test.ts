/** What comes next for each key, and what a rotation would cost (contract §7, `keys`). */
import { expect, test } from 'vitest';
import { DAY, durationMs, HOUR, MINUTE, toRfc3339 } from '../../src/domain/time.ts';
import { moveKeysOn, rotateKeys } from '../../src/operations/keys.ts';
import { listKeyOutlooks, previewCompromise, unripeUntil } from '../../src/operations/list-keys.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { openTestApp, storeFamilies } from '../support/test-app.ts';

describeOnBothDatabases('keys as people look at them', (makeDatabase) => {
  test('each key is told with its next step, which the schedule then takes at that time', async () => {
    const { app, clock } = await openTestApp(await makeDatabase(), { 'keys.rotateEvery': '30d' });
    const start = clock.now();
    const steps = async () =>
      (await listKeyOutlooks(app)).map(({ key, step }) => [
        key.ring,
        key.state,
        step?.to,
        step === null ? null : durationMs(step.at - start),
      ]);
    expect(await steps()).toEqual([
      ['access', 'next', 'active', 30 * DAY],
      ['access', 'active', 'retiring', 30 * DAY],
      ['refresh', 'next', 'active', 30 * DAY],
      ['refresh', 'active', 'verify_only', 30 * DAY],
    ]);
    clock.advance(30 * DAY - 1);
    expect(await moveKeysOn(app)).toEqual([]);
    clock.advance(1);
    await moveKeysOn(app);
    expect((await steps()).slice(0, 3)).toEqual([
      ['access', 'next', 'active', 60 * DAY],
      ['access', 'active', 'retiring', 60 * DAY],
      ['access', 'retiring', 'verify_only', 30 * DAY + 5 * MINUTE],
    ]);
    clock.advance(5 * MINUTE);
    await moveKeysOn(app);
    expect((await steps())[2]).toEqual(['access', 'verify_only', 'gone', 121 * DAY + 5 * MINUTE]);
  });

  test('a key that was published for less than keys.publishAhead is unripe; a refresh key never is', async () => {
    const { app, clock } = await openTestApp(await makeDatabase(), { 'keys.publishAhead': '2h' });
    const ripe = await unripeUntil(app, 'access');
    expect(ripe === null ? null : toRfc3339(ripe)).toBe('2026-03-01T14:00:00.250Z');
    expect(await unripeUntil(app, 'refresh')).toBeNull();
    clock.advance(2 * HOUR);
    expect(await unripeUntil(app, 'access')).toBeNull();
    await rotateKeys(app, 'access');
    expect(await unripeUntil(app, 'access')).not.toBeNull();
  });

  test('a compromised refresh key costs the sessions that it signed, an access key none', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await storeFamilies(app, [{}, {}]);
    const ring = await app.keys.current();
    expect(await previewCompromise(app, 'refresh')).toEqual({ kid: ring.refresh.active.kid, sessions: 2 });
    expect(await previewCompromise(app, 'access')).toEqual({ kid: ring.access.active.kid, sessions: 0 });
    await expect(previewCompromise(app, 'refresh', ring.access.active.kid)).rejects.toMatchObject({
      code: 'not_found',
    });
  });
});
