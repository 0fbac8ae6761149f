/** How Postern treats the connections of its clients: one look for each key that shows there. */
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { createBrowser } from './browser.ts'
import { ownPath, type Running, untilLogged } from './reload-world.ts'

/** Seconds that a client has for its request's header. */
export async function headerTime({ port, clock, lines }: Running): Promise<unknown> {
  lines()
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await new Promise<void>((resolve) => socket.write('GET / HTTP/1.1\r\n', () => resolve()))
  // One exchange on another connection: what was written before has been read by then.
  await createBrowser(() => port).ask('http://public.localhost/')
  lines()
  for (let second = 1; second < 300; second++) {
    clock.advance(1000)
    // The line is written when the time is up, without any waiting.
    if (lines().some(({ status }) => status === 408)) return second
  }
  return 'never'
}

/** Status of the answer to whoever shows this certificate. */
export function withCertificate({ port }: Running, cert: string, key: string): Promise<unknown> {
  return new Promise((resolve) => {
    const servername = 'mtls.localhost'
    const socket = connectTls({ port, host: '127.0.0.1', servername, rejectUnauthorized: false, cert, key }, () =>
      socket.write(`GET / HTTP/1.1\r\nhost: ${servername}\r\nconnection: close\r\n\r\n`),
    )
    let text = ''
    socket.on('data', (piece: Buffer) => (text += piece.toString('latin1')))
    socket.on('error', () => {})
    socket.on('close', () => resolve(text.slice(9, 12)))
  })
}

/** The certificate that a new connection is shown. */
export function certificateOf({ port }: Running): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.fingerprint256)
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

/** How many of three connections at once are answered. */
export async function connectionsAtOnce({ port }: Running): Promise<unknown> {
  const statuses: string[] = []
  const sockets: Socket[] = []
  for (let i = 0; i < 3; i++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    sockets.push(socket)
    socket.write('GET / HTTP/1.1\r\nhost: public.localhost\r\n\r\n')
    statuses.push(
      await new Promise<string>((resolve) => {
        socket.once('data', (data: Buffer) => resolve(data.toString('latin1', 0, 12)))
        socket.once('close', () => resolve('closed'))
      }),
    )
  }
  const left = sockets.filter(({ closed }) => !closed)
  await Promise.all(left.map((socket) => new Promise((resolve) => socket.once('close', resolve).destroy())))
  return statuses
}

/** After a signal to stop: seconds until it stops accepting, and until a busy exchange is cut. */
export async function drains({ app, port, clock, lines }: Running): Promise<unknown> {
  lines()
  const busy = connect(port, '127.0.0.1')
  busy.on('error', () => {})
  busy.write('GET /never HTTP/1.1\r\nhost: public.localhost\r\n\r\n')
  await createBrowser(() => port).ask('http://public.localhost/')
  let cut = false
  busy.on('close', () => (cut = true)).resume()
  const closed = app.close('drained')
  let accepting: number | undefined
  for (let second = 0; second < 600; second++) {
    if (lines().some(({ msg }) => msg === 'accepting no more connections')) accepting = second
    if (cut) {
      await closed
      return [accepting, Math.round(second / 30) * 30]
    }
    await clock.advanceAsync(1000)
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error('nothing was cut')
}

/** Tens of seconds that a connection is kept on which nothing more is asked. */
export async function keptIdle({ port, clock }: Running): Promise<unknown> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.write('GET / HTTP/1.1\r\nhost: public.localhost\r\n\r\n')
  await new Promise((resolve) => socket.once('data', resolve))
  for (let seconds = 0; seconds < 300; seconds += 10) {
    // Connections are looked at every few seconds, and nobody says which.
    if (socket.closed) return `${Math.floor(seconds / 60)} minutes`
    await clock.advanceAsync(10_000)
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error('the connection was not ended')
}

/** How an answer to HTTP/1.1 begins: `HTTP`, or a frame of HTTP/2. */
export async function firstOctets({ port }: Running): Promise<unknown> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.write('GET / HTTP/1.1\r\nhost: public.localhost\r\n\r\n')
  const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve))
  socket.destroy()
  return answer.toString('latin1', 0, 4)
}

/** A client that stops in its request body: the answer, and after how many tens of seconds. */
export function stoppedUpload(running: Running): Promise<unknown> {
  return upload(running, () => {})
}

/** A client that sends one byte of its body every 20 s. */
export function drippedUpload(running: Running): Promise<unknown> {
  return upload(running, (socket, second) => {
    if (second % 20 === 0) socket.write('x')
  })
}

async function upload(
  { port, clock, lines }: Running,
  each: (socket: Socket, second: number) => void,
): Promise<unknown> {
  const path = ownPath('never')
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.resume()
  await new Promise<void>((resolve) =>
    socket.write(`POST ${path} HTTP/1.1\r\nhost: public.localhost\r\ncontent-length: 100\r\n\r\nx`, () => resolve()),
  )
  // One exchange on another connection: what was written before has been read by then.
  await createBrowser(() => port).ask('http://public.localhost/')
  for (let second = 1; second <= 400; second++) {
    await clock.advanceAsync(1000)
    each(socket, second)
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
    const line = lines().find((one) => one['path'] === path)
    if (line) return [line['status'], line['limit'], Math.round(second / 30)]
  }
  socket.destroy()
  return 'never'
}

/** A client that asks for a lot and reads nothing: is it cut off within five minutes? The time-out counts from its last progress. */
export async function unread(running: Running): Promise<unknown> {
  const { port, arrived } = running
  const path = ownPath('endless')
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.pause()
  socket.write(`GET ${path} HTTP/1.1\r\nhost: public.localhost\r\n\r\n`)
  while (arrived(path) === 0) await new Promise((resolve) => setImmediate(resolve))
  // Until every buffer on the way is full.
  await new Promise((resolve) => setTimeout(resolve, 300))
  const line = await untilLogged(running, path)
  socket.destroy()
  return [line['cut'], Number(line['duration_ms']) < 300_000]
}
