/** Work that is repeated while the interface is up: the only effect that reads. */
import { useEffect, useRef } from 'react';

/** Runs the work, waits, runs it again; never twice at once. @param wait how long, ms, asked after each run; null: not again */
export function useRepeated(work: () => Promise<void>, wait: () => number | null): void {
  const latest = useRef({ work, wait });
  latest.current = { work, wait };
  useEffect(() => {
    let timer: NodeJS.Timeout | undefined;
    let isOver = false;
    const turn = async (): Promise<void> => {
      await latest.current.work();
      const pause = latest.current.wait();
      if (!isOver && pause !== null) timer = setTimeout(() => void turn(), pause);
    };
    void turn();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, []);
}
