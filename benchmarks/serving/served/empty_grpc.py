"""The limit of gRPC in Python: a ``grpc.aio`` handler that reads the request and gives the same small answer to all.

python empty_grpc.py PORT
"""

import sys

import grpc
import uvloop

from fairlead.serve.v2.proto import open_inference_pb2 as protocol


async def infer(request, _context):
    response = protocol.ModelInferResponse(model_name=request.model_name)
    response.outputs.add(name="probability", datatype="FP64", shape=[1, 2])
    response.raw_output_contents.append(b"\0" * 16)
    return response


async def ready(_request, _context):
    return protocol.ServerReadyResponse(ready=True)


async def main(port: int) -> None:
    server = grpc.aio.server()
    handlers = {
        "ModelInfer": grpc.unary_unary_rpc_method_handler(
            infer, protocol.ModelInferRequest.FromString, protocol.ModelInferResponse.SerializeToString
        ),
        "ServerReady": grpc.unary_unary_rpc_method_handler(
            ready, protocol.ServerReadyRequest.FromString, protocol.ServerReadyResponse.SerializeToString
        ),
    }
    service = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers)
    server.add_generic_rpc_handlers((service,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
