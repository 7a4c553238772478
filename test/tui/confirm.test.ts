/** What confirms in the terminal interface, and what never does (experience.md §3: held keys end nothing). */
import { expect, test } from 'vitest';
import { answerQuestion, choices, type Question } from '../../cli/tui/confirm.ts';

const one: Question = { text: 'End it?', answer: 'y', typed: '', askedAt: 0, reason: undefined };
const many: Question = { text: 'End 21?', answer: '21', typed: '', askedAt: 0, reason: undefined };

test('y ends one session, any other key keeps it', () => {
  expect(answerQuestion(one, 'y', 400).kind).toBe('yes');
  for (const key of ['n', 'r', '\r', '\u001b', ' ', 'Y']) expect(answerQuestion(one, key, 400).kind, key).toBe('keep');
});

test('keys of the first 300 ms, and several at once, are dropped', () => {
  expect(answerQuestion(one, 'y', 299)).toEqual({ kind: 'waiting', question: one });
  expect(answerQuestion(one, 'yy', 400)).toEqual({ kind: 'waiting', question: one });
  expect(answerQuestion(many, '21', 400)).toEqual({ kind: 'waiting', question: many });
});

test('several sessions end when their number has been typed, and Enter never helps', () => {
  const first = answerQuestion(many, '2', 400);
  if (first.kind !== 'waiting') throw new Error('one digit was enough');
  expect(first.question.typed).toBe('2');
  expect(answerQuestion(first.question, '\r', 400)).toEqual(first);
  expect(answerQuestion(first.question, '1', 400).kind).toBe('yes');
  expect(answerQuestion(first.question, '\u007f', 400)).toEqual({ kind: 'waiting', question: many });
  expect(answerQuestion(many, '\u001b', 400).kind).toBe('keep');
});

test('e edits the reason where one is kept, and is a wrong key where none is', () => {
  expect(answerQuestion({ ...one, reason: 'operator' }, 'e', 400).kind).toBe('edit');
  expect(answerQuestion({ ...many, reason: 'operator' }, 'e', 400).kind).toBe('edit');
  expect(answerQuestion(one, 'e', 400).kind).toBe('keep');
  expect(choices({ ...one, reason: 'theft' })).toBe('reason: theft (e edits)    y: do it    other key: keep');
  expect(choices({ ...many, typed: '2' })).toBe('Type 21: 2_    Esc: keep');
});
