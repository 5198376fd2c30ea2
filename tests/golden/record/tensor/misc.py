from rawlib import *
s=Raw(sys.argv[1])
def A(name,sh,dt="f4",lo=-2.5,hi=2.5):
    r=rng(name)
    if dt=="bool": return r.randint(0,2,sh).astype(bool)
    if dt[0]!="f": return r.randint(0 if dt[0]=="u" else -50,100,sh).astype(dt)
    return r.uniform(lo,hi,sh).astype(dt)
I=lambda *v: np.array(v,"i4")
ALL=("f4","f2","i4","i1","u1","i2","bool","u2")
g="layout/"
for dt in ALL:
    s.simple(g+"reshape_"+dt,"ReshapeV1",dict(x=A("r",(3,4,5),dt)),[("param.OptionalAxisV1",{})],consts=dict(t=I(2,30)))
    s.simple(g+"reshape_ax_"+dt,"ReshapeV1",dict(x=A("r",(3,4,5),dt)),[("param.OptionalAxisV1",{"axis":1})],consts=dict(t=I(2,-1)))
    s.simple(g+"bcast_"+dt,"Broadcast",dict(x=A("r",(3,1,5),dt)),[E],consts=dict(t=I(2,3,4,5)))
    s.simple(g+"dimshuffle_"+dt,"Dimshuffle",dict(x=A("r",(3,4,5),dt)),[("param.Dimshuffle",{"pattern":[2,-1,0,1],"ndim":3})])
    s.simple(g+"concat_"+dt,"Concat",dict(x=A("r",(3,2,5),dt),y=A("r2",(3,1,5),dt),z=A("r3",(3,0,5),dt)),[("param.Axis",{"axis":1})])
    s.simple(g+"concatn_"+dt,"Concat",dict(x=A("r",(3,2,5),dt),y=A("r2",(3,2,1),dt)),[("param.Axis",{"axis":-1})])
    s.simple(g+"split_"+dt,"Split",dict(x=A("r",(3,6,5),dt)),[("param.Axis",{"axis":1})],consts=dict(a=I(2),b=I(1),c=I(3)),n_out=3)
    s.simple(g+"diag_"+dt,"Diag",dict(x=A("r",(3,6),dt)),[("param.Diag",{"k":1})])
    s.simple(g+"diagm_"+dt,"Diag",dict(x=A("r",(5,),dt)),[("param.Diag",{"k":-2})])
    s.simple(g+"eye_"+dt,"Eye",dict(),[("param.Eye",{"k":-1,"dtype":NP2DT[np.dtype(dt).name]})],consts=dict(t=I(4,6)))
    s.simple(g+"maskfill_"+dt,"MaskedFill",dict(x=A("r",(3,4,2),dt),m=A("m",(3,4),"bool")),[("param.Fill",{"value":3.7})])
    s.simple(g+"maskfillneg_"+dt,"MaskedFill",dict(x=A("r",(3,4),dt),m=A("m",(3,4),"bool")),[("param.Fill",{"value":-1.5})])
    for md in ("REPLICATE","REFLECT","CONSTANT"):
        P={"front_offset_dim0":1,"back_offset_dim0":0,"front_offset_dim1":2,"back_offset_dim1":3,"front_offset_dim2":0,"back_offset_dim2":2,"padding_mode":md,"padding_val":3.7}
        s.simple(g+"pad_%s_%s"%(md,dt),"Padding",dict(x=A("r",(3,4,5),dt)),[("param.Padding",P)])
        if dt in("f4","f2"):
            s.simple(g+"padb_%s_%s"%(md,dt),"PaddingBackward",dict(d=A("rd",(4,9,7),dt),x=A("r",(3,4,5),dt)),[("param.Padding",P)])
    s.simple(g+"axisar_"+dt,"AxisAddRemove",dict(x=A("r",(3,1,5),dt)),[("param.AxisAddRemove",{"desc":[{"method":"REMOVE","axis":-2},{"method":"ADD_1","axis":-1},{"method":"ADD_1","axis":0}]})])
    s.simple(g+"copyid_"+dt,"Copy",dict(x=A("r",(3,1,5),dt)),[E])
for i,(sh,t,ax) in enumerate((((3,4,5),(-1,),0),((3,4,5),(0,0),None),((0,4),(4,-1),None),((0,4),(2,0),None),((1,),(1,1,1,1,1,1,1),None),((2,3,4),(4,-1,2),1),((2,3,4),(-1,2,2),-3),((2,3,4),(4,7,2),1),((2,3,4),(5,5),None))):
    s.simple(g+"reshape%d"%i,"ReshapeV1",dict(x=A("r",sh)),[("param.OptionalAxisV1",{} if ax is None else {"axis":ax})],consts=dict(t=I(*t)))
    def dyn(m,vs,t=t,ax=ax):
        return m.op("ReshapeV1",[vs["x"],vs["t"]],[("param.OptionalAxisV1",{} if ax is None else {"axis":ax})])
    s.case(g+"reshapedyn%d"%i,dyn,dict(x=A("r",sh),t=I(*t)))
for i,(sh,t) in enumerate((((3,1),(3,4)),((1,),(2,3)),((4,),(3,4)),((1,1,1),(1,1,1)),((3,1),(2,3,0)),((1,3),(0,3)),((2,1,2),(2,1,2,1,2)),((3,),(4,)))):
    s.simple(g+"bcast%d"%i,"Broadcast",dict(x=A("r",sh)),[E],consts=dict(t=I(*t)))
for i,(sh,p) in enumerate((((3,1,5),[0,2]),((3,4),[1,0,-1,-1]),((2,3,1,2,1,2,2),[6,5,4,3,2,1,0]),((1,1,1),[-1]),((3,4),[0]),((3,4),[0,0]),((2,3,4),[-1,2,-1,1,-1,0]))):
    s.simple(g+"dimsh%d"%i,"Dimshuffle",dict(x=A("r",sh)),[("param.Dimshuffle",{"pattern":p,"ndim":len(sh)})])
    s.simple(g+"dimsh0%d"%i,"Dimshuffle",dict(x=A("r",sh)),[("param.Dimshuffle",{"pattern":p,"ndim":0})])
for ax in (7,0,1,-1,2,3):
    s.simple(g+"getshape_%d"%ax,"GetVarShapeV1",dict(x=A("r",(2,3,4))),[("param.OptionalAxisV1",{"axis":ax})])
    s.simple(g+"getshape2_%d"%ax,"GetVarShapeV1",dict(x=A("r",(2,1,4)),y=A("r2",(5,1))),[("param.OptionalAxisV1",{"axis":ax})])
for k in (-3,-1,0,1,4):
    s.simple(g+"diag2_%d"%k,"Diag",dict(x=A("r",(4,6))),[("param.Diag",{"k":k})])
    s.simple(g+"diag1_%d"%k,"Diag",dict(x=A("r",(4,))),[("param.Diag",{"k":k})])
    s.simple(g+"eyek_%d"%k,"Eye",dict(),[("param.Eye",{"k":k,"dtype":"Float32"})],consts=dict(t=I(4,6)))
    s.simple(g+"eye1_%d"%k,"Eye",dict(),[("param.Eye",{"k":k,"dtype":"Int32"})],consts=dict(t=I(5)))
s.simple(g+"diag1_bwd","DiagBackward",dict(dy=A("r",(6,6))),[("param.Diag",{"k":2})],consts=dict(t=I(4)),order=["t","dy"])
s.simple(g+"diag2_bwd","DiagBackward",dict(dy=A("r",(3,))),[("param.Diag",{"k":-1})],consts=dict(t=I(4,6)),order=["t","dy"])
P={"front_offset_dim0":2,"back_offset_dim0":1,"front_offset_dim3":1,"back_offset_dim4":2,"padding_mode":"REFLECT"}
s.simple(g+"pad5","Padding",dict(x=A("r",(3,1,2,4,5))),[("param.Padding",P)])
for i,sh in enumerate(((5,),(1,),(2,2))):
    for md in ("REPLICATE","REFLECT","CONSTANT"): s.simple(g+"padsh%d_%s"%(i,md),"Padding",dict(x=A("r",sh)),[("param.Padding",{"front_offset_dim0":1,"back_offset_dim0":2,"padding_mode":md,"padding_val":-2.})])
for q in (("QuantizedS8",.03),("Quantized8Asymm",.03,120),("QuantizedS32",.01),"BFloat16"):
    nm=q if isinstance(q,str) else q[0]
    for op,p,kw in (("ReshapeV1",[("param.OptionalAxisV1",{})],dict(consts=dict(t=I(5,3,4)))),("Broadcast",[E],dict(consts=dict(t=I(2,3,4,5)))),("Dimshuffle",[("param.Dimshuffle",{"pattern":[2,0,1],"ndim":3})],{}),("Padding",[("param.Padding",{"front_offset_dim1":1,"padding_mode":"CONSTANT","padding_val":1.})],{}),("Padding",[("param.Padding",{"front_offset_dim1":1,"padding_mode":"REFLECT"})],{})):
        s.simple(g+"q_%s_%s_%d"%(op,nm,len(s.seen)),op,dict(x=A("r",(3,4,5))),p,casts=dict(x=q),out_cast="Float32",**kw)
    s.simple(g+"q_concat_%s"%nm,"Concat",dict(x=A("r",(3,4)),y=A("r1",(3,4))),[("param.Axis",{"axis":0})],casts=dict(x=q,y=q),out_cast="Float32")
g="gen/"
for a,b in ((0.,4.),(0.1,0.9),(5.,-5.),(1e6,1e6+7),(3.,3.),(-2.5,7.75)):
    for n in (1,2,7,10,50):
        for ep in (True,False):
            for dt in ("Float32","Int32","Float16"):
                s.simple(g+"linspace_%g_%g_%d_%d_%s"%(a,b,n,ep,dt),"Linspace",dict(a=np.array([a],"f4"),b=np.array([b],"f4")),[("param.Linspace",{"endpoint":ep})],consts=dict(n=I(n)),output_dtype=dt)
s.simple(g+"linspace_i","Linspace",dict(a=I(1),b=I(8)),[("param.Linspace",{"endpoint":True})],consts=dict(n=I(5)))
s.simple(g+"linspace_neg","Linspace",dict(a=np.array([0.5],"f4"),b=np.array([-7.5],"f4")),[("param.Linspace",{"endpoint":True})],consts=dict(n=I(9)),output_dtype="Int32")
g="linalg/"
for dt in ("f4","f2","i1","i2","i4","u1"):
    for ta in (0,1):
        for tb in (0,1):
            for (m,k,n) in ((5,7,4),(1,1,1),(1,9,3),(8,16,8),(33,65,17)):
                s.simple(g+"mm_%s_%d%d_%d_%d_%d"%(dt,ta,tb,m,k,n),"MatrixMulV2",dict(x=A("a",(k,m) if ta else (m,k),dt),y=A("b",(n,k) if tb else (k,n),dt)),[("param.MatrixMul",{"transposeA":bool(ta),"transposeB":bool(tb)}),POL])
            s.simple(g+"bmm_%s_%d%d"%(dt,ta,tb),"BatchedMatrixMulV2",dict(x=A("a",(3,7,5) if ta else (3,5,7),dt),y=A("b",(3,4,7) if tb else (3,7,4),dt)),[("param.MatrixMul",{"transposeA":bool(ta),"transposeB":bool(tb)}),POL])
    for cm in ("DEFAULT","FLOAT32"):
        s.simple(g+"mmcm_%s_%s"%(dt,cm),"MatrixMulV2",dict(x=A("a",(5,300),dt),y=A("b",(300,4),dt)),[("param.MatrixMul",{"compute_mode":cm}),POL])
    s.simple(g+"mmnop_%s"%dt,"MatrixMulV2",dict(x=A("a",(5,30),dt),y=A("b",(30,4),dt)),[("param.MatrixMul",{})])
    s.simple(g+"dot_%s"%dt,"Dot",dict(x=A("a",(30,),dt),y=A("b",(30,),dt)),[E])
    s.simple(g+"dot1_%s"%dt,"Dot",dict(x=A("a",(1,),dt),y=A("b",(1,),dt)),[E])
    s.simple(g+"dotb_%s"%dt,"Dot",dict(x=A("a",(1,),dt),y=A("b",(9,),dt)),[E])
    s.simple(g+"dot0_%s"%dt,"Dot",dict(x=A("a",(0,),dt),y=A("b",(0,),dt)),[E])
s.simple(g+"mmi1i16","MatrixMulV2",dict(x=A("a",(5,30),"i1"),y=A("b",(30,4),"i1")),[("param.MatrixMul",{}),POL],output_dtype="Int16")
s.simple(g+"mmi1i16b","BatchedMatrixMulV2",dict(x=A("a",(2,5,30),"i1"),y=A("b",(2,30,4),"i1")),[("param.MatrixMul",{}),POL],output_dtype="Int16")
s.simple(g+"mmi1i32","MatrixMulV2",dict(x=A("a",(5,30),"i1"),y=A("b",(30,4),"i1")),[("param.MatrixMul",{}),POL],output_dtype="Int32")
for sh,sh2 in (((0,3),(3,4)),((3,0),(0,4)),((3,4),(4,0))): s.simple(g+"mmz_%d%d%d"%(sh+sh2[1:]),"MatrixMulV2",dict(x=A("a",sh),y=A("b",sh2)),[("param.MatrixMul",{}),POL])
for sh,sh2 in (((0,2,3),(0,3,4)),((2,3,0),(2,0,4)),((1,2,3),(5,3,4)),((2,3,2,4),(2,3,4,2)),((2,1,2,4),(1,3,4,2))): s.simple(g+"bmmz_%s"%("_".join(map(str,sh+sh2))),"BatchedMatrixMulV2",dict(x=A("a",sh),y=A("b",sh2)),[("param.MatrixMul",{}),POL])
q8=("QuantizedS8",.03);q8b=("QuantizedS8",.021);qu=("Quantized8Asymm",.03,120);qub=("Quantized8Asymm",.021,99);q4=("QuantizedS4",.4);qu4=("Quantized4Asymm",.4,7);q32=("QuantizedS32",.03*.021)
for ta in (0,1):
    for tb in (0,1):
        for nm,ca,cb,od in (("s8",q8,q8b,None),("u8",qu,qub,None),("s8o",q8,q8b,q32),("u8o",qu,qub,q32),("u4",qu4,qu4,None),("s4",q4,q4,None),("s8s8",q8,q8b,("QuantizedS8",.2)),("s8f",q8,q8b,"Float32")):
            s.simple(g+"qmm_%s_%d%d"%(nm,ta,tb),"MatrixMulV2",dict(x=A("a",(8,6) if ta else (6,8)),y=A("b",(4,8) if tb else (8,4))),[("param.MatrixMul",{"transposeA":bool(ta),"transposeB":bool(tb)}),POL],casts=dict(x=ca,y=cb),output_dtype=od,out_cast="Float32")
            s.simple(g+"qbmm_%s_%d%d"%(nm,ta,tb),"BatchedMatrixMulV2",dict(x=A("a",(3,8,6) if ta else (3,6,8)),y=A("b",(3,4,8) if tb else (3,8,4))),[("param.MatrixMul",{"transposeA":bool(ta),"transposeB":bool(tb)}),POL],casts=dict(x=ca,y=cb),output_dtype=od,out_cast="Float32")
s.simple(g+"mm_bf16","MatrixMulV2",dict(x=A("a",(6,40)),y=A("b",(40,4))),[("param.MatrixMul",{}),POL],casts=dict(x="BFloat16",y="BFloat16"),out_cast="Float32",tol=dict(rtol=1e-2,atol=1e-2))
s.simple(g+"mm_bf16c","MatrixMulV2",dict(x=A("a",(6,40)),y=A("b",(40,4))),[("param.MatrixMul",{"compute_mode":"FLOAT32"}),POL],casts=dict(x="BFloat16",y="BFloat16"),out_cast="Float32",tol=dict(rtol=1e-2,atol=1e-2))
s.simple(g+"dot_q8","Dot",dict(x=A("a",(30,)),y=A("b",(30,))),[E],casts=dict(x=q8,y=q8b),out_cast="Float32")
for f,b,dts in (("MK4",4,("f4","i2","i1")),("MK8",8,("f4","f2","i2")),("MK4_DOT",4,("i1","f4")),("N32K4_DOT",4,("i1",))):
    for dt in dts:
        for (M,K,N) in ((2,3,5),(1,1,1),(3,4,7)):
            xs=(M,K,b,b); ys=(K,N,b)
            s.simple(g+"mk_%s_%s_%d%d%d"%(f,dt,M,K,N),"MatrixMulV2",dict(x=A("a",xs,dt),y=A("b",ys,dt)),[("param.MatrixMul",{"format":f}),POL])
            s.simple(g+"bmk_%s_%s_%d%d%d"%(f,dt,M,K,N),"BatchedMatrixMulV2",dict(x=A("a",(2,)+xs,dt),y=A("b",(2,)+ys,dt)),[("param.MatrixMul",{"format":f}),POL])
for ta,tb in ((1,0),(0,1),(1,1)):
    M,K,N,b=2,3,5,4
    s.simple(g+"mkt_%d%d"%(ta,tb),"MatrixMulV2",dict(x=A("a",(K,M,b,b) if ta else (M,K,b,b)),y=A("b",(N,K,b) if tb else (K,N,b))),[("param.MatrixMul",{"format":"MK4","transposeA":bool(ta),"transposeB":bool(tb)}),POL])
for sh in ((4,4),(1,1),(2,3,3),(7,7),(0,3,3),(2,2,2,2)):
    x=A("inv",sh)+2*np.eye(sh[-1],dtype="f4")
    s.simple(g+"inv_"+"x".join(map(str,sh)),"MatrixInverse",dict(x=x.astype("f4")),[E],tol=dict(rtol=1e-3,atol=1e-4))
s.simple(g+"inv_f16","MatrixInverse",dict(x=(A("inv",(3,3))+2*np.eye(3)).astype("f2")),[E])
for sh in ((4,3),(3,4),(3,3),(1,1),(1,5),(5,1),(2,4,3),(2,2,3,5),(9,9)):
    for fm in (0,1):
        for uv in (0,1):
            # U and V up to sign: compare S and the product
            def b(m,vs,fm=fm,uv=uv):
                return m.op("SVD",[vs["x"]],[("param.SVD",{"full_matrices":bool(fm),"compute_uv":bool(uv)})],n_out=3)[1:2]
            s.case(g+"svdS_%s_%d%d"%("x".join(map(str,sh)),fm,uv),b,dict(x=A("svd",sh)),tol=dict(rtol=1e-3,atol=1e-4))
            def b2(m,vs,fm=fm):
                u,_,v=m.op("SVD",[vs["x"]],[("param.SVD",{"full_matrices":bool(fm),"compute_uv":True})],n_out=3)
                return [m.op("Elemwise",[u],[("param.Elemwise",{"mode":"ABS"})])[0],m.op("Elemwise",[v],[("param.Elemwise",{"mode":"ABS"})])[0]]
            if uv and not fm: s.case(g+"svdUV_%s"%("x".join(map(str,sh))),b2,dict(x=A("svd",sh)),tol=dict(rtol=1e-3,atol=1e-3))
# quant
g="quant/"
for sh,ps in (((3,4,5),(1,)),((3,4,5),(1,4,1)),((3,4,5),(3,4,5)),((7,),(1,)),((2,3,4,5),(3,1,1)),((0,3),(1,))):
    nm="x".join(map(str,sh))+"_"+"x".join(map(str,ps))
    for lo,hi in ((-128,127),(0,255),(-8,7)):
        x=A("fx"+nm,sh,lo=-6,hi=6); sc=A("fs"+nm,ps,lo=.01,hi=.1); zp=np.round(A("fz"+nm,ps,lo=-5,hi=50)).astype("f4")
        s.simple(g+"fq_%s_%d"%(nm,lo),"FakeQuant",dict(x=x,s=sc,z=zp),[("param.FakeQuant",{"qmin":lo,"qmax":hi})])
        s.simple(g+"fqb_%s_%d"%(nm,lo),"FakeQuantBackward",dict(d=A("fd"+nm,sh),x=x,s=sc,z=zp),[("param.FakeQuant",{"qmin":lo,"qmax":hi})])
        ts=A("ft"+nm,ps,lo=-6,hi=-2)
        s.simple(g+"tqt_%s_%d"%(nm,lo),"TQT",dict(x=x,s=ts),[("param.TQT",{"qmin":lo,"qmax":hi})])
        s.simple(g+"tqtb_%s_%d"%(nm,lo),"TQTBackward",dict(d=A("fd"+nm,sh),x=x,s=ts),[("param.TQT",{"qmin":lo,"qmax":hi})],n_out=2)
        gs=A("fg"+nm,ps,lo=.01,hi=1)
        s.simple(g+"lsq_%s_%d"%(nm,lo),"LSQ",dict(x=x,s=sc,z=zp,g=gs),[("param.LSQ",{"qmin":lo,"qmax":hi})])
        s.simple(g+"lsqb_%s_%d"%(nm,lo),"LSQBackward",dict(d=A("fd"+nm,sh),x=x,s=sc,z=zp,g=gs),[("param.LSQ",{"qmin":lo,"qmax":hi})],n_out=2)
x=(np.arange(-20,21)*.5).astype("f4")
s.simple(g+"fq_ties","FakeQuant",dict(x=x,s=np.ones(1,"f4"),z=np.zeros(1,"f4")),[("param.FakeQuant",{"qmin":-8,"qmax":7})])
s.simple(g+"tqt_ties","TQT",dict(x=x,s=np.zeros(1,"f4")),[("param.TQT",{"qmin":-8,"qmax":7})])
s.simple(g+"lsq_ties","LSQ",dict(x=x,s=np.ones(1,"f4"),z=np.zeros(1,"f4"),g=np.ones(1,"f4")),[("param.LSQ",{"qmin":-8,"qmax":7})])
# powc
for e in (0.,1.,2.,3.,-1.,-2.,.5,1.5,-.5,-3.,4.,1/3.):
    for dt in ("f4","f2"):
        s.simple("powc/%g_%s"%(e,dt),"PowC",dict(x=A("pc",(3,7),dt)),[("param.PowC",{"exp":e})])
        s.simple("powc/sp_%g_%s"%(e,dt),"PowC",dict(x=np.array([0,-0.,1,-1,2,-2,np.inf,-np.inf,np.nan,1e-20,-8],dt)),[("param.PowC",{"exp":e})])
    s.simple("powc/%g_i4"%e,"PowC",dict(x=A("pc",(3,7),"i4")),[("param.PowC",{"exp":e})])
# mixed types and addupdate
T="f4 f2 i4 i2 i1 u1 bool u2".split()
for a in T:
    for b in T:
        if a!=b:
            for md in ("ADD","TRUE_DIV","LT","MAX"):
                s.simple("mixed/%s_%s_%s"%(md,a,b),"Elemwise",dict(x=A("mx",(3,4),a),y=A("my",(3,1),b)),[("param.Elemwise",{"mode":md})])
            s.simple("mixed/cat_%s_%s"%(a,b),"Concat",dict(x=A("mx",(3,4),a),y=A("my",(3,1),b)),[("param.Axis",{"axis":1})])
            s.simple("mixed/mm_%s_%s"%(a,b),"MatrixMulV2",dict(x=A("mx",(3,4),a),y=A("my",(4,1),b)),[("param.MatrixMul",{}),POL])
for md in ("ADD","SUB","NEGATE","RELU","MAX","MIN","MUL"):
    for q in (("QuantizedS8",.03),("QuantizedS32",.001),("Quantized8Asymm",.03,120)):
        n=1 if md in("NEGATE","RELU") else 2
        ins={"xy"[i]:A("qe%d"%i,(3,4)) for i in range(n)}
        s.simple("mixed/q%s_%s"%(md,q[0]),"Elemwise",ins,[("param.Elemwise",{"mode":md})],casts={k:q for k in ins},out_cast="Float32",tol=dict(rtol=1e-6,atol=1e-6))
for dt in ("f4","i4"):
    for (al,be,bi) in ((1,-.1,0),(.9,.1,.5),(0,1,0),(2,0,1)):
        def add(m,vs,dt=dt,al=al,be=be,bi=bi):
            m.nshared+=1; w=A("au",(3,4),dt)
            p,=m.op("SharedDeviceTensor",[],tensors=[m.tensor("w",w.shape,NP2DT[np.dtype(dt).name],w.tobytes())])
            z=lambda f: {"dtype":"Float32","storage":list(np.float32(f).tobytes())}
            return m.op("AddUpdate",[p,vs["g"]],[("param.MGBAddUpdate",{"alpha":z(al),"beta":z(be),"bias":z(bi)})])
        s.case("mixed/addupdate_%s_%g_%g_%g"%(dt,al,be,bi),add,dict(g=A("aug",(3,4),dt)))
s.write()
