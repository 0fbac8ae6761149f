import type { Socket } from 'node:net'

const NOTHING = Buffer.alloc(0)

/**
 * Looks at the first bytes of a connection, as they come, until `look` says how many of them it has used. The others
 * are put back, and nobody has read the socket: `done` runs.
 * @param look gets all that has come; undefined: more is needed. It bounds what it waits for.
 */
export function onFirstBytes(socket: Socket, look: (bytes: Buffer) => number | undefined, done: () => void): void {
  let held: Buffer = NOTHING
  const read = (): void => {
    const piece: Buffer | null = socket.read()
    if (piece === null) return
    held = held.length === 0 ? piece : Buffer.concat([held, piece])
    const used = look(held)
    if (used === undefined || socket.destroyed) return
    socket.off('readable', read)
    socket.off('end', leave)
    if (used < held.length) socket.unshift(held.subarray(used))
    done()
  }
  const leave = (): void => void socket.destroy()
  socket.on('readable', read)
  socket.on('end', leave)
}
