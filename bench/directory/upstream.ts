/** An application: answers every request with a few bytes and keeps every WebSocket open. */
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const [port] = process.argv.slice(2)
const server = createServer((_req, res) => res.end('ok'))
new WebSocketServer({ server }).on('connection', (socket) => socket.on('error', () => socket.terminate()))
server.listen(Number(port), '127.0.0.1')
