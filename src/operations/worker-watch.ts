/**
 * Whether somebody is there to deliver events: workers leave a sign of life, and who finds events waiting without one says
 * so. `serve` and `doctor` ask here.
 */
import type { App } from '../app.ts';
import { type Finding, ok, warn } from '../domain/finding.ts';
import { type EpochMs, epochMs, MINUTE, toRfc3339 } from '../domain/time.ts';
import { backlogOf } from '../store/delivery-pages.ts';
import { oldestInOutbox } from '../store/outbox.ts';
import { listReceivers } from '../store/receivers.ts';
import { findSetting, storeSetting } from '../store/settings.ts';
import { receiversOf } from './receivers.ts';

/** A worker that has not been seen for so long, and an event that waits so long, ms. */
const PATIENCE = MINUTE;

/** Dead letters are counted up to here. */
const COUNTED = 1_000;

/** Called by a worker, every few seconds. */
export const leaveHeartbeat = (app: App): Promise<void> =>
  app.store.write((tx) => storeSetting(tx, 'worker_seen', String(tx.now)));

export interface WorkerReport {
  /** Null: never. */
  readonly seenAt: EpochMs | null;
  readonly isAlive: boolean;
  /** Since when the oldest event waits that could be on its way; null when none does. */
  readonly waitingSince: EpochMs | null;
  /** Dead letters, at most 1,000 of them. */
  readonly dead: number;
  /** Labels of receivers that are configured, and disabled since they answered 410. */
  readonly disabled: readonly string[];
  /** Whether events wait and nobody is there to deliver them. */
  readonly isNeeded: boolean;
}

/** By the receivers that are configured here. @throws Refusal temporarily_unavailable */
export async function reportOnWorker(app: App): Promise<WorkerReport> {
  const keys = receiversOf(app.config).map(({ key }) => key);
  const now = app.clock.now();
  return app.store.read(async (db) => {
    const seen = await findSetting(db, 'worker_seen');
    const seenAt = seen === undefined ? null : epochMs(Number(seen));
    const isAlive = seenAt !== null && seenAt > now - PATIENCE;
    const { dueSince, dead } = await backlogOf(db, keys, now, COUNTED);
    const queuedSince = keys.length === 0 ? undefined : await oldestInOutbox(db);
    const times = [dueSince, queuedSince].filter((time) => time !== undefined);
    const waitingSince = times.length === 0 ? null : epochMs(Math.min(...times));
    const known = await listReceivers(db);
    return {
      seenAt,
      isAlive,
      waitingSince,
      dead,
      disabled: known.filter(({ key, disabled }) => disabled !== null && keys.includes(key)).map(({ label }) => label),
      isNeeded: !isAlive && waitingSince !== null && waitingSince < now - PATIENCE,
    };
  });
}

/** For `doctor`: one finding on the worker, and one on dead letters where there are any. */
export async function checkWorker(app: App): Promise<readonly Finding[]> {
  const { isAlive, seenAt, isNeeded, waitingSince, dead } = await reportOnWorker(app);
  const seen = seenAt === null ? 'none was ever seen' : `last seen ${toRfc3339(seenAt)}`;
  const findings: Finding[] = [];
  if (isAlive) findings.push(ok('worker', seen));
  else if (isNeeded && waitingSince !== null) {
    const message = `${seen}, and events wait since ${toRfc3339(waitingSince)}`;
    findings.push(warn('worker', message, 'keep one running: auth-server worker'));
  } else if (seenAt === null) {
    findings.push(warn('worker', `${seen}: nothing is purged`, 'keep one running: auth-server worker'));
  } else findings.push(warn('worker', seen, 'start it again: auth-server worker'));
  if (dead > 0) {
    const count = dead === COUNTED ? `${COUNTED} or more` : String(dead);
    const remedy = 'auth-server events list --deliveries dead; once it is mended: auth-server events retry --dead';
    findings.push(warn('dead letters', `${count} deliveries were given up`, remedy));
  }
  return findings;
}

/** Addresses that only this machine, its network or its cloud can mean: metadata services live there (RFC 3927, RFC 4291). */
const LINK_LOCAL = /^(169\.254\.|\[fe[89ab][0-9a-f]:|\[fd00:ec2::254\]$|metadata\.google\.internal\.?$)/i;

/** Where events go; who answered 410; and URLs that a thief of the configuration would choose (T23). */
export async function checkReceivers(app: App): Promise<readonly Finding[]> {
  const receivers = receiversOf(app.config);
  const { disabled } = await reportOnWorker(app);
  const findings: Finding[] = [
    ok(
      'receivers',
      receivers.length === 0 ? 'none: events stay in the log' : receivers.map(({ label }) => label).join(', '),
    ),
  ];
  for (const label of disabled) {
    const remedy = 'remove it from the configuration; or, if it lives again: auth-server events retry --dead';
    findings.push(warn('receivers', `${label} answered 410 Gone, and gets nothing any more`, remedy));
  }
  for (const { label } of receivers) {
    if (!LINK_LOCAL.test(new URL(label.split(' ')[0] ?? label).hostname)) continue;
    const message = `${label} is a link-local address: metadata services of clouds answer there`;
    findings.push(warn('receivers', message, 'name the receiver by its own address'));
  }
  return findings;
}
