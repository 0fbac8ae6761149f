import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import { listen } from '../../src/server/listen.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { type AnswerHead, type ClientSide, exchangeContract, type StartCarrier, type Tunnel } from './exchange.ts'

const startH1: StartCarrier = async (handle) => {
  const listener = await listen({
    listen: { host: '127.0.0.1', port: 0 },
    timeouts: {
      timeoutRead: 10_000,
      timeoutIdle: 10_000,
      clientBodyTimeout: 30_000,
      clientBodyMinRate: 100,
      clientWriteTimeout: 60_000,
      tunnelIdleTimeout: 60_000,
    },
    clock: systemClock,
    logger: silentLogger,
    handle: (exchange) => {
      handle(exchange)
      return new Promise((resolve) => exchange.onClosed(resolve))
    },
    refused() {},
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const { port } = listener.address
  return {
    request({ method = 'GET', target = '/', headers = {}, body = false } = {}) {
      const framed = body ? { ...headers, 'transfer-encoding': 'chunked' } : headers
      const outgoing = request({ host: '127.0.0.1', port, method, path: target, headers: framed, agent })
      if (body) outgoing.flushHeaders()
      else outgoing.end()
      return clientSide(outgoing)
    },
    upgrade(behind = '') {
      const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' }
      const outgoing = request({ host: '127.0.0.1', port, headers, agent: false })
      outgoing.once('finish', () => outgoing.socket?.write(behind))
      outgoing.on('error', () => {})
      outgoing.end()
      return new Promise((resolve) => {
        outgoing.on('response', (response) => resolve({ head: headOf(response), tunnel: undefined }))
        outgoing.on('upgrade', (response, socket, first) =>
          resolve({ head: headOf(response), tunnel: tunnelOf(socket, first) }),
        )
      })
    },
    async close() {
      agent.destroy()
      const stopped = listener.stop()
      listener.destroy()
      await stopped
    },
  }
}

function headOf({ statusCode = 0, headersDistinct }: IncomingMessage): AnswerHead {
  return { status: statusCode, header: (name) => headersDistinct[name]?.join(', ') }
}

function clientSide(outgoing: ClientRequest): ClientSide {
  let paused = false
  let response: IncomingMessage | undefined
  const answered = new Promise<IncomingMessage | undefined>((resolve) => {
    outgoing.once('response', (incoming) => {
      response = incoming
      resolve(incoming)
    })
    outgoing.once('close', () => resolve(undefined))
  })
  outgoing.on('error', () => {})
  const body = answered.then(
    (incoming) =>
      new Promise<{ text: string; complete: boolean }>((resolve) => {
        if (!incoming) return resolve({ text: '', complete: false })
        const pieces: Buffer[] = []
        incoming.on('error', () => {})
        incoming.on('data', (piece: Buffer) => pieces.push(piece))
        if (paused) incoming.pause()
        incoming.once('close', () =>
          resolve({ text: Buffer.concat(pieces).toString('latin1'), complete: incoming.complete }),
        )
      }),
  )
  const head = answered.then((incoming) => {
    if (!incoming) throw new Error('no answer')
    return headOf(incoming)
  })
  // Not every test asks.
  head.catch(() => {})
  return {
    head,
    body,
    continued: new Promise((resolve) => outgoing.once('continue', resolve)),
    write: (piece) => new Promise((resolve) => outgoing.write(piece, () => resolve())),
    end: () => void outgoing.end(),
    pause() {
      paused = true
    },
    resume() {
      paused = false
      response?.resume()
    },
    leave: () => void outgoing.destroy(),
  }
}

function tunnelOf(socket: Socket, first: Buffer): Tunnel {
  let text = first.toString('latin1')
  socket.on('error', () => {})
  socket.on('data', (piece) => (text += piece.toString('latin1')))
  return {
    send: (bytes) => void socket.write(bytes),
    received: (part) =>
      new Promise((resolve) => {
        const look = (): void => (text.includes(part) ? resolve(text) : void socket.once('data', look))
        look()
      }),
    closed: new Promise((resolve) => socket.once('close', () => resolve())),
    leave: () => void socket.destroy(),
  }
}

exchangeContract('HTTP/1.1', startH1)
