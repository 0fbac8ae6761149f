import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { type AnswerHead, type ClientSide, exchangeContract, type StartCarrier, tunnelOf } from './exchange.ts'
import { listening } from '../support/listening.ts'

const startH1: StartCarrier = async (handle) => {
  const listener = await listening((exchange) => {
    handle(exchange)
    return new Promise((resolve) => exchange.onClosed(resolve))
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const { port } = listener
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
          resolve({ head: headOf(response), tunnel: tunnelOf(socket, () => socket.destroy(), first) }),
        )
      })
    },
    async close() {
      agent.destroy()
      await listener.close()
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

exchangeContract('HTTP/1.1', startH1)
