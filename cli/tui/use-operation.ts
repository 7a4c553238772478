/** Work that is repeated while the interface is up: the only effect there is. Screens are given what it finds. */
import { useEffect, useRef } from 'react';

/** Runs the work, waits, runs it again; never twice at once. @param wait how long, ms, asked after each run */
export function useOperation(work: () => Promise<void>, wait: () => number, restart: string): void {
  const latest = useRef({ work, wait });
  latest.current = { work, wait };
  // biome-ignore lint/correctness/useExhaustiveDependencies: another screen or filter begins anew
  useEffect(() => {
    let timer: NodeJS.Timeout | undefined;
    let isOver = false;
    const turn = async (): Promise<void> => {
      await latest.current.work();
      if (!isOver) timer = setTimeout(() => void turn(), latest.current.wait());
    };
    void turn();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [restart]);
}
