import type { Socket } from 'node:net'
import type { Deadlines } from '../lib/deadlines.ts'
import type { Span } from '../types.ts'

/** What the client still sends after our answer is read and dropped this long; then the connection ends. */
export const LINGER: Span = 10_000

/**
 * Ends our side; the client's may follow, but not for ever. Destroying at once could reset the answer away.
 * @param last Latin-1, to be written before.
 */
export function endSoon(socket: Socket, last: string, deadlines: Deadlines): void {
  const deadline = deadlines.start(LINGER, () => socket.destroy())
  socket.once('close', () => deadline.stop())
  socket.resume()
  socket.end(last, 'latin1')
}
