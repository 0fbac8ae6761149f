import type { Socket } from 'node:net'
import type { Deadlines } from '../lib/deadlines.ts'
import type { Span } from '../types.ts'

/** How long to wait for what an upstream sent before it closed: that has mostly arrived. */
const READING: Span = 1000

type Done = (error?: Error | null) => void

/**
 * An upstream may answer before it has read the whole request, and close: 413 is the usual case (RFC 9112 §9.6). Its
 * answer can still be read when our next write fails, but Node ends both directions of a socket whose write has failed.
 * So a failure to write is told only when everything has been read.
 */
export function readBeforeFailing(socket: Socket, deadlines: Deadlines): void {
  const write = socket._write.bind(socket)
  const writev = socket._writev?.bind(socket)
  // A stream has one write under way at a time.
  let done: Done = () => {}
  const written: Done = (error) => {
    if (!error || socket.readableEnded || socket.destroyed) return done(error)
    const deadline = deadlines.start(READING, tell)
    socket.once('end', tell).once('close', tell)
    function tell(): void {
      deadline.stop()
      socket.off('end', tell).off('close', tell)
      done(error)
    }
  }
  socket._write = (chunk, encoding, callback) => {
    done = callback
    write(chunk, encoding, written)
  }
  if (!writev) return
  socket._writev = (chunks, callback) => {
    done = callback
    writev(chunks, written)
  }
}
