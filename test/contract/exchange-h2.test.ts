import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2'
import { connect as connectSocket, type Socket } from 'node:net'
import { type AnswerHead, type ClientSide, exchangeContract, type StartCarrier, tunnelOf } from './exchange.ts'
import { listening } from '../support/listening.ts'

const startH2: StartCarrier = async (handle) => {
  const listener = await listening(
    (exchange) => {
      handle(exchange)
      return new Promise((resolve) => exchange.onClosed(resolve))
    },
    { codecType: 'http2' },
  )
  const socket = connectSocket(listener.port, '127.0.0.1')
  const session = connect('http://127.0.0.1', { createConnection: () => socket })
  session.on('error', () => {})
  await once(session, 'remoteSettings')
  return {
    request({ method = 'GET', target = '/', headers = {}, body = false } = {}) {
      const fields = Object.entries(headers).map(([name, value]) => [name, value.trim()])
      return clientSide(
        session.request({ ':method': method, ':path': target, ...Object.fromEntries(fields) }, { endStream: !body }),
        socket,
      )
    },
    upgrade(behind = '') {
      const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/' })
      stream.on('error', () => {})
      if (behind) stream.write(behind)
      const tunnel = tunnelOf(stream, () => stream.close(constants.NGHTTP2_CANCEL))
      return new Promise((resolve) => {
        stream.once('response', (headers) => {
          const head = headOf(headers)
          resolve({ head, tunnel: head.status === 200 ? tunnel : undefined })
        })
      })
    },
    async close() {
      session.destroy()
      await listener.close()
    },
  }
}

function once(session: ClientHttp2Session, event: string): Promise<void> {
  return new Promise((resolve) => session.once(event, () => resolve()))
}

function headOf(headers: IncomingHttpHeaders): AnswerHead {
  return {
    status: Number(headers[':status']),
    header: (name) => {
      const value = headers[name]
      return Array.isArray(value) ? value.join(', ') : value
    },
  }
}

function clientSide(stream: ClientHttp2Stream, socket: Socket): ClientSide {
  let paused = false
  let answered = false
  const pieces: Buffer[] = []
  const read = (): void => void stream.on('data', (piece: Buffer) => pieces.push(piece))
  let ended = false
  stream.on('error', () => {})
  stream.on('end', () => (ended = true))
  const head = new Promise<AnswerHead>((resolve, reject) => {
    stream.once('response', (headers) => {
      resolve(headOf(headers))
      answered = true
      if (!paused) read()
    })
    stream.once('close', () => reject(new Error('no answer')))
  })
  // Not every test asks.
  head.catch(() => {})
  return {
    head,
    body: new Promise((resolve) =>
      stream.once('close', () =>
        resolve({
          text: Buffer.concat(pieces).toString('latin1'),
          complete: ended && stream.rstCode === constants.NGHTTP2_NO_ERROR,
        }),
      ),
    ),
    continued: new Promise((resolve) => stream.once('continue', () => resolve())),
    write: (piece) => new Promise((resolve) => stream.write(piece, () => resolve())),
    end: () => void stream.end(),
    pause() {
      paused = true
    },
    resume() {
      paused = false
      if (answered) read()
    },
    // Node ends a body in order before it resets its stream: hang up instead.
    leave: () => void socket.destroy(),
  }
}

exchangeContract('HTTP/2', startH2)
