/**
 * How much processor time processes have used, from /proc. It stands alone because the clock of a benchmark is what its
 * readers ask about first. Linux only; elsewhere every figure is 0.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const MS_PER_TICK = 10;

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Fields behind the name, which may hold anything: state is the first (proc(5)). */
function statOf(pid: number | string): readonly string[] {
  const text = read(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** Milliseconds of user and system time, all threads together. */
export function cpuOf(pid: number): number {
  const fields = statOf(pid);
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * MS_PER_TICK;
}

/** The same of a process and its children: Postgres is one process for each connection. */
export function cpuOfTree(pid: number): number {
  let total = cpuOf(pid);
  for (const name of readdirSync('/proc')) {
    if (/^\d+$/.test(name) && statOf(name)[1] === String(pid)) total += cpuOf(Number(name));
  }
  return total;
}

/** Of the whole machine: user, nice and system. Interrupts are left out, as no process is charged for them. */
export function cpuOfMachine(): number {
  const [, user = 0, nice = 0, system = 0] = (/^cpu +.*$/m.exec(read('/proc/stat'))?.[0] ?? '').split(/ +/).map(Number);
  return (user + nice + system) * MS_PER_TICK;
}

/** Bytes of memory that are resident. */
export const residentSet = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1_024;
