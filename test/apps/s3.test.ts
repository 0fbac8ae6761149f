/**
 * S3 servers behind Postern. s3rver checks signatures, which cover Host, path and query (SigV4): a changed byte is 403.
 * It has no keys with empty segments; moto has, and checks no signatures.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../e2e/browser/demo.ts'
import { type Behind, startBehind } from './behind.ts'
import { installed } from './installed.ts'
import { type Running, run, startServer } from './process.ts'

const s3rver = installed('s3rver', { from: 'npm', packages: ['s3rver@3.7.1'] })
const moto = installed('moto', { from: 'pypi', packages: ['moto[server]==5.2.5', 'boto3==1.44.8'] })

const CLIENT = `
import sys, urllib.request
import boto3
from botocore.config import Config

url, cookie, *keys = sys.argv[1:]
client = boto3.client("s3", endpoint_url=url, region_name="us-east-1",
    aws_access_key_id="S3RVER", aws_secret_access_key="S3RVER",
    config=Config(s3={"addressing_style": "path"}, signature_version="s3v4", retries={"total_max_attempts": 1},
        request_checksum_calculation="when_required", response_checksum_validation="when_required", proxies={}))
if cookie:
    client.meta.events.register("before-send.s3", lambda request, **_: request.headers.__setitem__("Cookie", cookie))

if "bucket" not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
    client.create_bucket(Bucket="bucket")
for key in keys:
    body = key.encode()
    client.put_object(Bucket="bucket", Key=key, Body=body)
    assert client.get_object(Bucket="bucket", Key=key)["Body"].read() == body, key
    link = client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": key})
    request = urllib.request.Request(link, headers={"Cookie": cookie} if cookie else {})
    assert urllib.request.urlopen(request).read() == body, link
stored = {item["Key"] for item in client.list_objects_v2(Bucket="bucket")["Contents"]}
assert stored == set(keys), stored

part = b"x" * (5 << 20)
upload = client.create_multipart_upload(Bucket="bucket", Key="large")["UploadId"]
parts = [{"PartNumber": n, "ETag": client.upload_part(Bucket="bucket", Key="large", UploadId=upload, PartNumber=n,
    Body=part)["ETag"]} for n in (1, 2)]
client.complete_multipart_upload(Bucket="bucket", Key="large", UploadId=upload, MultipartUpload={"Parts": parts})
assert client.head_object(Bucket="bucket", Key="large")["ContentLength"] == 2 * len(part)
assert client.get_object(Bucket="bucket", Key="large", Range="bytes=1-3")["Body"].read() == b"xxx"

for key in [*keys, "large"]:
    client.delete_object(Bucket="bucket", Key=key)
print("done")
`

const KEYS = ['plain.txt', 'a b+c&d=é~.txt', 'folder/', '%2F', '100%'] as const
const SERVERS = {
  s3rver: {
    server: s3rver,
    command: (port: number, folder: string): [string, ...string[]] => [
      `${s3rver.bin}/s3rver`,
      '--address',
      '127.0.0.1',
      '--port',
      String(port),
      '--directory',
      folder,
    ],
    more: {},
    keys: KEYS,
  },
  moto: {
    server: moto,
    command: (port: number): [string, ...string[]] => [
      `${moto.bin}/moto_server`,
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
    ],
    more: { merge_slashes: false },
    keys: [...KEYS, 'a//b.txt', '/leading', 'two//'],
  },
} as const

describe.each(Object.keys(SERVERS) as (keyof typeof SERVERS)[])('%s behind Postern', (name) => {
  const { server, command, more, keys } = SERVERS[name]
  describe.skipIf(!server.bin || !moto.bin)(server.name(moto.name('for boto3')), () => {
    const folder = mkdtempSync(join(tmpdir(), 'postern-s3-'))
    let running: Running
    let behind: Behind
    beforeAll(async () => {
      writeFileSync(join(folder, 'client.py'), CLIENT)
      const port = await freePort()
      running = await startServer(command(port, join(folder, 'buckets')), port)
      behind = await startBehind(`http://127.0.0.1:${port}`, more)
    })
    afterAll(async () => {
      await behind?.close()
      await running?.close()
      rmSync(folder, { recursive: true, force: true })
    })

    test('puts, gets, lists, signs links and uploads in parts', async () => {
      const { code, output } = await run([
        ...([`${moto.bin}/python`, join(folder, 'client.py'), behind.publicUrl, ''] as const),
        ...keys,
      ])
      expect(output).toContain('done')
      expect(code).toBe(0)
    })
  })
})
