/** Clients who ask as fast as they are answered, from one address. */
import { connect } from 'node:net'

/** How often each status came back, in so many milliseconds: a few connections to each port, one request at a time on each. */
export async function flood(
  ports: readonly number[],
  host: string,
  millis: number,
  connections = 4,
): Promise<ReadonlyMap<number, number>> {
  const counts = new Map<number, number>()
  const end = performance.now() + millis
  const asked = `GET / HTTP/1.1\r\nhost: ${host}\r\naccept: application/json\r\n\r\n`

  /** Until the time is over, on one connection after the other. */
  const client = async (port: number): Promise<void> => {
    while (performance.now() < end) {
      await new Promise<void>((resolve, reject) => {
        const socket = connect(port, '127.0.0.1')
        let text = ''
        socket.on('error', reject).on('close', () => resolve())
        socket.on('data', (piece: Buffer) => {
          text += piece.toString('latin1')
          const head = /^HTTP\/1\.1 (\d{3}) [^]*?\r\n\r\n/.exec(text)
          const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(head?.[0] ?? '')?.[1] ?? Number.NaN)
          if (!head || !(text.length >= head[0].length + length)) return
          text = text.slice(head[0].length + length)
          counts.set(Number(head[1]), (counts.get(Number(head[1])) ?? 0) + 1)
          if (performance.now() >= end) socket.end()
          else socket.write(asked)
        })
        socket.write(asked)
      })
    }
  }
  await Promise.all(ports.flatMap((port) => Array.from({ length: connections }, () => client(port))))
  return counts
}
