// What hyparquet reads of Parquet files: a JSON object for each, see lab/real/readers_test.py.
// Usage: node hyparquet_reader.mjs FOLDER-OF-HYPARQUET FILE...

import fs from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const [folder, ...files] = process.argv.slice(2)
const { parquetMetadataAsync, parquetReadObjects } = await import(pathToFileURL(path.resolve(folder, 'src/index.js')))

// Dates have milliseconds: what is in the file has more.
const parsers = {
  timestampFromMicroseconds: micros => micros,
  stringFromBytes: bytes => bytes && new TextDecoder('utf-8', { fatal: true }).decode(bytes),
}

// Of a column, from what the file says of it.
function kindOf(element) {
  const logical = element.logical_type
  if (logical?.type === 'TIMESTAMP') {
    if (logical.unit !== 'MICROS' || !logical.isAdjustedToUTC) throw new Error(`${element.name}: ${JSON.stringify(logical)}`)
    return 't'
  }
  if (logical?.type === 'INTEGER') {
    if (logical.isSigned) throw new Error(`${element.name}: signed`)
    return 'u' + logical.bitWidth
  }
  if (logical?.type === 'STRING') return 's'
  if (element.type !== 'BYTE_ARRAY' || logical) throw new Error(`${element.name}: ${element.type} ${JSON.stringify(logical)}`)
  return 'b'
}

function cell(kind, value) {
  if (value === undefined || value === null) return null
  return kind + ':' + (kind === 'b' ? Buffer.from(value).toString('hex') : String(value))
}

for (const name of files) {
  const octets = fs.readFileSync(name)
  const file = octets.buffer.slice(octets.byteOffset, octets.byteOffset + octets.byteLength)
  const metadata = await parquetMetadataAsync(file)
  const elements = metadata.schema.slice(1)
  const kinds = elements.map(kindOf)
  const rows = metadata.num_rows > 0 ? await parquetReadObjects({ file, metadata, utf8: false, parsers }) : []
  console.log(JSON.stringify({
    columns: elements.map(element => element.name),
    rows: rows.map(row => elements.map((element, i) => cell(kinds[i], row[element.name]))),
  }))
}
