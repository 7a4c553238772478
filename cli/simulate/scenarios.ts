/** The stories of contract §7, each with the verdict that is promised at every step, and what is to be learned from it. */
import { ALICE, type Story, THIEF } from './story.ts';

/** `lesson` is said when every verdict was as promised. */
export interface Scenario {
  readonly name: string;
  readonly about: string;
  readonly play: (story: Story) => Promise<void>;
  readonly lesson: string;
}

/** What our client library sends: the same for the same refresh token. */
const KEY = 'derived-from-the-token';

/** In the order in which `simulate` plays them, each in a world of its own. */
export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'two-tabs',
    about: 'two tabs of a browser share a session and refresh at the same time',
    async play(story) {
      const pair = await story.login(ALICE);
      story.at(4);
      const one = await story.refresh(ALICE, pair, { does: 'tab 1 presents 0', key: KEY, promised: 'generation 1' });
      const two = await story.refresh(ALICE, pair, { does: 'tab 2 presents 0', key: KEY, promised: 'generation 1' });
      story.expect(one?.refresh === two?.refresh, 'alice', 'compares', 'the same token');
      if (two !== undefined) await story.verify(two, 'active');
      story.at(10);
      const other = await story.login(ALICE);
      await story.refresh(ALICE, other, { does: 'tab 1, no key', promised: 'generation 1' });
      await story.refresh(ALICE, other, { does: 'tab 2, no key', promised: 'REUSED (late_retry)' });
    },
    lesson: 'With an Idempotency-Key tabs share one successor. Without, the second is taken for a thief: send it.',
  },
  {
    name: 'lost-answer',
    about: 'the answer of a refresh is lost on its way',
    async play(story) {
      const pair = await story.login(ALICE);
      story.at(4);
      const lost = await story.refresh(ALICE, pair, {
        does: 'presents 0, loses it',
        key: KEY,
        promised: 'generation 1',
      });
      story.at(4, 2);
      const again = await story.refresh(ALICE, pair, { does: 'presents 0 again', key: KEY, promised: 'generation 1' });
      story.expect(lost?.refresh === again?.refresh, 'alice', 'compares', 'the same token');
      story.at(8);
      if (again !== undefined) await story.refresh(ALICE, again, { promised: 'generation 2' });
      story.at(9);
      await story.refresh(THIEF, pair, { key: KEY, promised: 'REUSED (stale, other address)' });
    },
    lesson: 'Who repeats the request gets the same token again, until it is used; then the old one is spent for good.',
  },
  {
    name: 'thief-first',
    about: 'a thief uses a stolen refresh token before its owner does',
    async play(story) {
      const pair = await story.login(ALICE);
      story.at(4);
      const stolen = await story.refresh(THIEF, pair, { promised: 'generation 1' });
      story.at(5);
      await story.refresh(ALICE, pair, { promised: 'REUSED (late_retry, other address)' });
      story.at(6);
      if (stolen === undefined) return;
      await story.refresh(THIEF, stolen, { promised: 'revoked' });
      await story.verify(stolen, 'not active: revoked');
    },
    lesson: 'The thief had 1 minute; alice logs in again.',
  },
  {
    name: 'thief-late',
    about: 'a thief uses a stolen refresh token after its owner did',
    async play(story) {
      const pair = await story.login(ALICE);
      story.at(4);
      const next = await story.refresh(ALICE, pair, { promised: 'generation 1' });
      story.at(5);
      await story.refresh(THIEF, pair, { promised: 'REUSED (late_retry, other address)' });
      story.at(6);
      if (next !== undefined) await story.refresh(ALICE, next, { promised: 'revoked' });
      await story.login(ALICE);
    },
    lesson: 'The thief got nothing; alice logs in again.',
  },
  {
    name: 'crash',
    about: 'the server dies between its commit and its answer',
    async play(story) {
      const pair = await story.login(ALICE);
      story.at(4);
      const lost = await story.refresh(ALICE, pair, { does: 'presents 0', key: KEY, promised: 'generation 1' });
      story.note('server', 'dies', 'its answer never arrives');
      await story.world.restart();
      story.note('server', 'starts', 'the commit is in the database');
      story.at(4, 5);
      const again = await story.refresh(ALICE, pair, { does: 'presents 0 again', key: KEY, promised: 'generation 1' });
      story.expect(lost?.refresh === again?.refresh, 'alice', 'compares', 'the same token');
      story.at(8);
      if (again !== undefined) await story.refresh(ALICE, again, { promised: 'generation 2' });
    },
    lesson: 'A refresh token is a function of its row: what was committed can be answered again, by any server.',
  },
  {
    name: 'key-compromise',
    about: 'somebody has the key that signs access tokens, then the one of refresh tokens',
    async play(story) {
      const pair = await story.login(ALICE);
      await story.verify(pair, 'active');
      story.at(1);
      await story.world.compromise('access');
      story.note('operator', 'keys rotate --compromised', 'declared');
      story.at(1, 2);
      await story.verify(pair, 'not active: revoked');
      const next = await story.refresh(ALICE, pair, { promised: 'generation 1' });
      await story.world.restart();
      story.note('server', 'starts again', 'the old key stays out');
      await story.verify(pair, 'not active: revoked');
      if (next === undefined) return;
      await story.verify(next, 'active');
      story.at(2);
      await story.world.compromise('refresh');
      story.note('operator', '… --ring refresh', 'declared');
      story.at(2, 2);
      await story.refresh(ALICE, next, { promised: 'malformed' });
      await story.verify(next, 'not active: revoked');
    },
    lesson: 'A stolen access-token key costs nobody a session. A stolen refresh-token key ends those it signed.',
  },
  {
    name: 'restored-backup',
    about: 'the database is put back to a copy of an hour ago',
    async play(story) {
      const pair = await story.login(ALICE);
      const ended = await story.login(ALICE);
      await story.world.backup();
      story.note('operator', 'backup', 'one moment of it');
      story.at(4);
      const next = await story.refresh(ALICE, pair, { promised: 'generation 1' });
      await story.logout(ALICE, ended);
      const later = await story.login(ALICE);
      await story.world.restore();
      story.note('operator', 'restore', 'every session ended');
      await story.verify(ended, 'not active: revoked');
      await story.verify(later, 'not active: revoked');
      await story.refresh(THIEF, pair, { promised: 'revoked' });
      if (next !== undefined) await story.refresh(ALICE, next, { promised: 'revoked' });
      await story.refresh(ALICE, later, { does: 'presents the lost one', promised: 'unknown' });
      await story.verify(await story.login(ALICE), 'active');
    },
    lesson: 'Spent tokens do not live again, nor do sessions that were ended after the copy. Everybody logs in again.',
  },
];
