"""Writes a model of llama's shape with random weights: it says nonsense, but llama.cpp runs it like any other."""

import sys

import gguf
import numpy

WIDTH, HEADS, INNER, CONTEXT = 32, 4, 64, 2048

words = [b"<unk>", b"<s>", b"</s>"] + [f"<0x{byte:02X}>".encode() for byte in range(256)]
kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL] + [gguf.TokenType.BYTE] * 256
scores = [0.0] * 3 + [-1000.0] * 256
for at, word in enumerate(["\u2581the", "\u2581a", "\u2581of", "\u2581", *"abcdefghijklmnopqrstuvwxyz"]):
    words.append(word.encode())
    kinds.append(gguf.TokenType.NORMAL)
    scores.append(-float(at))

writer = gguf.GGUFWriter(sys.argv[1], "llama")
writer.add_name("tiny")
writer.add_context_length(CONTEXT)
writer.add_embedding_length(WIDTH)
writer.add_block_count(1)
writer.add_feed_forward_length(INNER)
writer.add_head_count(HEADS)
writer.add_head_count_kv(HEADS)
writer.add_rope_dimension_count(WIDTH // HEADS)
writer.add_layer_norm_rms_eps(1e-5)
writer.add_vocab_size(len(words))
writer.add_file_type(0)
writer.add_tokenizer_model("llama")
writer.add_token_list(words)
writer.add_token_scores(scores)
writer.add_token_types(kinds)
writer.add_bos_token_id(1)
writer.add_eos_token_id(2)
writer.add_unk_token_id(0)

chance = numpy.random.default_rng(7)


def matrix(name, *shape):
    writer.add_tensor(name, (chance.standard_normal(shape) * 0.3).astype(numpy.float32))


def norm(name):
    writer.add_tensor(name, numpy.ones(WIDTH, numpy.float32))


matrix("token_embd.weight", len(words), WIDTH)
norm("output_norm.weight")
# The end of the text is never the most likely next word.
output = (chance.standard_normal((len(words), WIDTH)) * 0.3).astype(numpy.float32)
output[2] = 0
writer.add_tensor("output.weight", output)
norm("blk.0.attn_norm.weight")
norm("blk.0.ffn_norm.weight")
for part in ["attn_q", "attn_k", "attn_v", "attn_output"]:
    matrix(f"blk.0.{part}.weight", WIDTH, WIDTH)
matrix("blk.0.ffn_gate.weight", INNER, WIDTH)
matrix("blk.0.ffn_up.weight", INNER, WIDTH)
matrix("blk.0.ffn_down.weight", WIDTH, INNER)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
