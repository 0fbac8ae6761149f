import type { Exchange, Finished, Reply } from '../../src/http/exchange.ts'
import { writeReply } from '../../src/http/send.ts'

/** Answers, and resolves when the answer has been written or the client has gone. */
export async function sendReply(exchange: Exchange, reply: Reply): Promise<Finished> {
  const finished = writeReply(exchange, reply)
  await new Promise<void>((closed) => exchange.onClosed(closed))
  return finished
}
