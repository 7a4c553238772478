/** A password worker that dies: who waits for it hears of it, and nobody else. */
import { EventEmitter } from 'node:events';
import { expect, test, vi } from 'vitest';
import { makePasswordHasher } from '../../src/crypto/password.ts';
import { Secret } from '../../src/domain/secret.ts';

const { workers } = vi.hoisted(() => ({ workers: [] as unknown[] }));

vi.mock('node:worker_threads', () => ({
  Worker: class extends EventEmitter {
    readonly asked: { readonly id: number }[] = [];
    constructor() {
      super();
      workers.push(this);
    }
    postMessage(job: { readonly id: number }): void {
      this.asked.push(job);
    }
    ref(): void {}
    unref(): void {}
  },
}));

interface FakeWorker extends EventEmitter {
  readonly asked: readonly { readonly id: number }[];
}

test('a hash that is asked for between the error of a worker and its end is made by the next one', async () => {
  const passwords = makePasswordHasher();
  const lost = passwords.hash(new Secret('one'));
  const [first] = workers as FakeWorker[];
  first?.emit('error', new Error('out of memory'));
  await expect(lost).rejects.toThrow('out of memory');

  const hash = passwords.hash(new Secret('two'));
  first?.emit('exit', 1);
  const [, second] = workers as FakeWorker[];
  second?.emit('message', { id: second.asked[0]?.id, tag: new Uint8Array(32) });
  await expect(hash).resolves.toMatch(/^\$argon2id\$/);
});
