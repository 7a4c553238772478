/** A user directory whose answers are timed. It stands apart because neither directory need know. */
import type { Clock } from '../domain/time.ts';
import type { UserDirectory } from '../domain/user-directory.ts';

/** @param observe is told the seconds of every answer, refusals included */
export function timedDirectory(
  directory: UserDirectory,
  clock: Clock,
  observe: (seconds: number) => void,
): UserDirectory {
  const timed =
    <Question, Result>(ask: (question: Question) => Promise<Result>) =>
    async (question: Question): Promise<Result> => {
      const started = clock.monotonic();
      try {
        return await ask(question);
      } finally {
        observe((clock.monotonic() - started) / 1_000);
      }
    };
  return {
    authenticate: timed(directory.authenticate),
    status: directory.status === undefined ? undefined : timed(directory.status),
    close: directory.close,
  };
}
