import type { Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { writeLast } from '../../../src/server/last-writes.ts'

function collecting(): { readonly written: string[]; readonly socket: Socket } {
  const written: string[] = []
  const socket = {
    write(text: string, _: 'latin1', done: () => void) {
      written.push(text)
      done()
    },
  } as unknown as Socket
  return { written, socket }
}

test('answers that are ready in one turn of the event loop are written together, in their order', async () => {
  const { written, socket } = collecting()
  const done: string[] = []
  for (const text of ['a', 'b']) writeLast(socket, text, () => done.push(text))
  expect(written).toEqual([])
  await turn()
  expect([written, done]).toEqual([
    ['a', 'b'],
    ['a', 'b'],
  ])
})

test('the first of very many does not wait for the last, and each is written once', async () => {
  const { written, socket } = collecting()
  const texts = Array.from({ length: 150 }, (_, i) => String(i))
  for (const text of texts) writeLast(socket, text, () => {})
  expect(written).toEqual(texts.slice(0, 128))
  await turn()
  expect(written).toEqual(texts)
})

test('what an answer brings about in the same turn is written, too', async () => {
  const { written, socket } = collecting()
  writeLast(socket, 'a', () => writeLast(socket, 'b', () => {}))
  await turn()
  await turn()
  expect(written).toEqual(['a', 'b'])
})
