import type { Socket } from 'node:net'

type Done = (error?: Error | null) => void

/** Answers that wait at most: a turn that has very many requests must not keep the first of them for long. */
const MOST = 64

let waiting: { readonly socket: Socket; readonly text: string; readonly done: Done }[] = []

/**
 * Writes the last piece of an answer together with those of other answers that are ready in the same turn of the event
 * loop. A write alone wakes the process that waits for it, which costs as much as the write; of several in a row only the
 * first one does. Nothing
 * else may be written to the socket before `done`.
 * @param text Latin-1.
 */
export function writeLast(socket: Socket, text: string, done: Done): void {
  waiting.push({ socket, text, done })
  if (waiting.length === 1) setImmediate(writeAll)
  else if (waiting.length === MOST) writeAll()
}

function writeAll(): void {
  const all = waiting
  waiting = []
  for (const { socket, text, done } of all) socket.write(text, 'latin1', done)
}
