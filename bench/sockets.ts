/** Accepts every WebSocket (RFC 6455 §4.2.2) and says nothing more; anything else gets an empty 200, where a sign-in ends. */
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'

const [port] = process.argv.slice(2)
createServer((_req, res) => res.end())
  .on('upgrade', (req, socket) => {
    const key = `${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
    const accept = createHash('sha1').update(key).digest('base64')
    socket.on('error', () => socket.destroy())
    // Ends with the client, as every server of WebSockets does. One that does not is waited for, and its end falls into
    // what is measured next.
    socket.on('end', () => socket.end()).resume()
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
  })
  .listen(Number(port), '127.0.0.1')
